// One stream for all tabs of the browser: browsers allow six connections to a server over HTTP/1.1. Its name is the root.

import { SharedStream } from "./shared-stream.js";

const stream = new SharedStream(globalThis.name);

addEventListener("connect", ({ ports: [port] }) => stream.attach(port));
