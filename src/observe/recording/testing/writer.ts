// SPDX-License-Identifier: Apache-2.0

/** A recorder in a process of its own, which a test kills: `writer.ts <dir>`. Counts, without an end. */
import { Recorder } from "../recorder.ts";
import { FakeScreen } from "./screen.ts";

const recorder = new Recorder({
  dir: Deno.args[0]!,
  principal: "bureau/fleet/dev/agent/scribe",
  screen: new FakeScreen(),
  secrets: null,
  maxBytes: 1e9,
  keepMs: 1e9,
  partBytes: 40_000,
  recoverMs: 0,
  onTrouble: (message) => console.error(message),
});
const encoder = new TextEncoder();
for (let count = 0;; count++) {
  recorder.output({ at: Date.now(), bytes: encoder.encode(`${count} ✓\r\n`) });
  if (count % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
}
