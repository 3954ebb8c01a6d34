// SPDX-License-Identifier: Apache-2.0

/**
 * Shows one principal's terminal. Lives in a cell without a network that holds one tmux socket and its
 * own; may run script, stty and tmux there, read no other file and reach nothing else.
 */
import { announceReady, failStart, readBootstrap } from "../lib/provision/mod.ts";
import { parseRelayBootstrap } from "../observe/frames.ts";
import { Relay } from "../observe/relay.ts";

let relay: Relay;
try {
  relay = new Relay({ bootstrap: await readBootstrap(parseRelayBootstrap) });
  await relay.listen();
} catch (thrown) {
  failStart(thrown);
}
Deno.addSignalListener("SIGTERM", () => relay.close());
announceReady();
await relay.finished();
Deno.exit(0);
