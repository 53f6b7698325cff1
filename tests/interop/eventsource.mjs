// Reads a stream with npm's eventsource and prints every event as a line of JSON: its type, data and last id.
import { EventSource } from "eventsource";

const [url, ...types] = process.argv.slice(2);
const source = new EventSource(url);
for (const type of types) {
  source.addEventListener(type, (event) => console.log(JSON.stringify([type, event.data, event.lastEventId])));
}
