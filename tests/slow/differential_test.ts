// SPDX-License-Identifier: Apache-2.0

/** The embedded homeserver and Synapse play the same scenarios: what they answer differently is listed, or a failure. */
import assert from "node:assert/strict";
import { compare, judge, show } from "../homeserver/differential/compare.ts";
import { INTENDED } from "../homeserver/differential/intended.ts";
import { record, type Recording } from "../homeserver/differential/record.ts";
import { type Kind, withHomeserver } from "../homeserver/provider.ts";

async function recorded(t: Deno.TestContext, kind: Kind): Promise<Recording | null> {
  let recording: Recording | null = null;
  await withHomeserver(t, async (homeserver) => {
    recording = await record(homeserver);
  }, kind);
  return recording;
}

Deno.test("the embedded homeserver answers as Synapse does, but for what is meant", async (t) => {
  const synapse = await recorded(t, "synapse");
  if (synapse === null) return;
  const embedded = await recorded(t, "embedded");
  assert.ok(embedded !== null);
  const differences = [...embedded.exchanges].flatMap(([scenario, exchanges]) =>
    embedded.lacking.has(scenario) || synapse.lacking.has(scenario)
      ? []
      : compare(scenario, exchanges, synapse.exchanges.get(scenario)!)
  );
  const { unlisted, gone } = judge(differences, INTENDED);
  const report = [
    ...synapse.failed,
    ...embedded.failed,
    ...unlisted.map((difference) => `not listed: ${show(difference)}`),
    ...gone.map((one) => `listed, and no longer so: ${one.at}: ${one.reason}`),
  ];
  assert.equal(report.length, 0, `${report.length} surprises\n${report.join("\n")}`);
  assert.deepEqual([...synapse.lacking], []);
});
