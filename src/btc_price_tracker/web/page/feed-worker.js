// One feed for all tabs of the browser: browsers allow six connections to a server over HTTP/1.1. Its name is the root.

import { Feed } from "./feed.js";

const feed = new Feed(globalThis.name);

addEventListener("connect", ({ ports: [port] }) => feed.attach(port));
