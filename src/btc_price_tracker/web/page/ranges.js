// The range of time that the chart shows; the choice is saved.

const WORDS = { 300: "past 5 minutes", 3600: "past hour", 21600: "past 6 hours", 86400: "past 24 hours" };

export function rangeChoice(onChange) {
  const group = document.querySelector("#ranges");
  const chosen = () => group.querySelector("input:checked");
  const saved = group.querySelector(`input[value="${restore()}"]`);
  if (saved) saved.checked = true;
  group.addEventListener("change", () => {
    save(chosen().value);
    onChange();
  });
  return {
    get seconds() {
      return Number(chosen().value);
    },
    get words() {
      return WORDS[chosen().value];
    },
  };
}

function restore() {
  try {
    return Number(localStorage.getItem("range"));
  } catch {
    return null;
  }
}

function save(value) {
  try {
    localStorage.setItem("range", value);
  } catch {
    // storage is disabled: the choice lasts as long as the page
  }
}
