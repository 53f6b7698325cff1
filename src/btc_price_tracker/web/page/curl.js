// The command that shows the stream in a terminal.

import { announce } from "./announce.js";

export function offerCurl() {
  const line = document.getElementById("curl");
  const button = document.getElementById("copy");
  line.textContent = `curl -N ${new URL("prices/stream", document.baseURI)}`;
  button.hidden = !navigator.clipboard; // needs HTTPS or localhost; the line can still be selected
  button.addEventListener("click", async () => {
    const copied = await copy(line);
    button.textContent = copied ? "Copied" : "Selected";
    announce(copied ? "Copied" : "The browser does not allow copying. The line is selected.");
    setTimeout(() => (button.textContent = "Copy"), 2_000);
  });
}

/** Copies the line, or selects it if the browser forbids copying. */
async function copy(line) {
  try {
    await navigator.clipboard.writeText(line.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(line);
    return false;
  }
}
