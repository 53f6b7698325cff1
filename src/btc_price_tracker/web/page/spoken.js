// What a screen reader is told without asking: changes of state, never every price.

export function say(text) {
  document.getElementById("spoken").textContent = text;
}
