// How much of the past is shown; the choice is remembered.

const WORDS = { 300: "past 5 minutes", 3600: "past hour", 21600: "past 6 hours", 86400: "past 24 hours" };

export function rangeChoice(onChange) {
  const group = document.querySelector("#ranges");
  const chosen = () => group.querySelector("input:checked");
  const remembered = group.querySelector(`input[value="${recall()}"]`);
  if (remembered) remembered.checked = true;
  group.addEventListener("change", () => {
    remember(chosen().value);
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

function recall() {
  try {
    return Number(localStorage.getItem("range"));
  } catch {
    return null;
  }
}

function remember(value) {
  try {
    localStorage.setItem("range", value);
  } catch {
    // storage is forbidden here: the choice lasts as long as the page
  }
}
