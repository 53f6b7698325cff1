// The line that shows the stream in a terminal.

import { say } from "./spoken.js";

export function offerCurl() {
  const line = document.getElementById("curl");
  const button = document.getElementById("copy");
  line.textContent = `curl -N ${new URL("prices/stream", document.baseURI)}`;
  button.hidden = !navigator.clipboard; // needs HTTPS or localhost; the line can be selected all the same
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(line.textContent);
    button.textContent = "Copied";
    say("Copied");
    setTimeout(() => (button.textContent = "Copy"), 2_000);
  });
}
