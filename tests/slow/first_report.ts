// SPDX-License-Identifier: Apache-2.0

/** What Bureau promises with any homeserver: an agent reports, answers, and survives a restart of everything. */
import assert from "node:assert/strict";
import { type Bureau, eventually } from "../e2e/harness.ts";
import { messages, roomId, SCRIBE, stateEvents } from "../e2e/matrix.ts";

/** Bodies of what was said in the agent's room. */
async function bodies(bureau: Bureau, room: string): Promise<string[]> {
  return (await messages(bureau, room)).map((event) => String(event.content["body"]));
}

async function ask(bureau: Bureau, room: string, path: string, answer: string): Promise<void> {
  assert.equal((await bureau.cli("matrix", "send", "scribe", `report ${path}`)).code, 0);
  await eventually(
    `an answer about ${path}`,
    async () => (await bodies(bureau, room)).some((body) => body.startsWith(answer)),
    60_000,
  );
}

/** @param homeserver what to give `up` besides `--detach` */
export async function firstReport(bureau: Bureau, homeserver: readonly string[]): Promise<void> {
  const start = async () => {
    const started = await bureau.up("--detach", ...homeserver);
    assert.equal(started.code, 0, started.stdout + started.stderr);
  };
  await start();
  const room = await roomId(bureau, SCRIBE);
  await eventually(
    "the report",
    async () => (await stateEvents(bureau, room, "m.bureau.report"))[0],
    60_000,
  );
  await ask(bureau, room, "README.md", "README.md: ");
  // Stopped and started again: the same accounts, rooms and agent, and no second report.
  await bureau.down();
  await start();
  await eventually("the agent runs again", async () => {
    const status = await bureau.cli("status");
    return /agent\/scribe\s+running/.test(status.stdout);
  }, 60_000);
  await ask(bureau, room, "src", "src/: ");
  const reports = (await bodies(bureau, room))
    .filter((body) => body.startsWith("Repository at commit"));
  assert.equal(reports.length, 1);
}
