// Announcements to screen readers: changes of state, never every price.

export function announce(text) {
  document.getElementById("spoken").textContent = text;
}
