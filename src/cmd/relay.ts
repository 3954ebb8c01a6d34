// SPDX-License-Identifier: Apache-2.0

/**
 * Shows one principal's terminal, and records it. Lives in a cell without a network that holds one tmux
 * socket, its own and the directory of the recordings; may run script, stty and tmux there, read no other
 * file and reach nothing else.
 */
import { createLogger } from "../lib/log.ts";
import { readBootstrapLines } from "../lib/provision/lines.ts";
import { announceReady, failStart, ProvisionError, tellParent } from "../lib/provision/mod.ts";
import { activityOfRelay } from "../observe/activity/mod.ts";
import { parseRelayLine } from "../observe/frames.ts";
import { Recording } from "../observe/recording/mod.ts";
import { Relay } from "../observe/relay.ts";

const log = createLogger("relay");
let relay: Relay | null = null;
let recording: Recording | null = null;
try {
  const bootstrap = await readBootstrapLines(parseRelayLine, (line) => {
    if (line instanceof Error) log.warn(line.message);
    else if ("end" in line) relay?.close(line.end);
    else if ("secrets" in line) {
      recording?.replaceSecrets(line.secrets);
      tellParent({ renewed: true });
    }
    return Promise.resolve();
  });
  if (!("session" in bootstrap)) {
    throw new ProvisionError("bootstrap-malformed", "its first line is a later one");
  }
  recording = new Recording(bootstrap, (message) => log.warn(message));
  const activity = activityOfRelay((text) => recording?.mark(text));
  relay = new Relay({
    bootstrap,
    taps: [...recording.taps, activity.tap],
    endpoints: { "/v1/activity": activity.endpoint },
  });
  await relay.listen();
} catch (thrown) {
  failStart(thrown);
}
Deno.addSignalListener("SIGTERM", () => relay.close());
announceReady();
// What the start has used up: 3 MB, which V8 would keep (`MORE_V8` of lib/process gives it to us).
const collect = (globalThis as { gc?: (how: Record<string, string>) => void }).gc;
collect?.({ type: "major", execution: "sync", flavor: "last-resort" });
await relay.finished();
Deno.exit(0);
