// SPDX-License-Identifier: Apache-2.0

/**
 * Shows one principal's terminal. Lives in a cell without a network that holds one tmux socket and its
 * own; may run script, stty and tmux there, read no other file and reach nothing else.
 */
import { readBootstrapLines } from "../lib/provision/lines.ts";
import { announceReady, failStart, ProvisionError } from "../lib/provision/mod.ts";
import { parseRelayLine } from "../observe/frames.ts";
import { Relay } from "../observe/relay.ts";

let relay: Relay | null = null;
try {
  const bootstrap = await readBootstrapLines(parseRelayLine, (line) => {
    if (!(line instanceof Error) && "end" in line) relay?.close(line.end);
    return Promise.resolve();
  });
  if ("end" in bootstrap) {
    throw new ProvisionError("bootstrap-malformed", "its first line is its last");
  }
  relay = new Relay({ bootstrap });
  await relay.listen();
} catch (thrown) {
  failStart(thrown);
}
Deno.addSignalListener("SIGTERM", () => relay.close());
announceReady();
await relay.finished();
Deno.exit(0);
