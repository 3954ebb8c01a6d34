// SPDX-License-Identifier: Apache-2.0

/** How bytes get to another machine, and how `fetch` and `WebSocket` get to use that. */
export { type OnceClient, onceClient } from "./once.ts";
export { type ByteStream, join, streamOf } from "./stream.ts";
export { bare, connectTls, type HostPort, parseAddress, type Pinned } from "./tls.ts";
