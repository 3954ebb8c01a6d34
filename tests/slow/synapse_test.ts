// SPDX-License-Identifier: Apache-2.0

/** The same promise with another homeserver: a real Synapse, reached by changing one URL. */
import assert from "node:assert/strict";
import { eventually, withBureau } from "../e2e/harness.ts";
import { messages, roomId, SCRIBE, stateEvents } from "../e2e/matrix.ts";
import { withHomeserver } from "../homeserver/provider.ts";

Deno.test("up --homeserver URL works with a real Synapse and its registration token", async () => {
  await withHomeserver(async (synapse) => {
    await withBureau(async (bureau) => {
      const token = `${bureau.repo}-token`;
      await Deno.writeTextFile(token, synapse.registrationToken);
      const start = () =>
        bureau.up(
          "--detach",
          "--homeserver",
          synapse.url,
          "--registration-token-file",
          token,
        );
      const started = await start();
      assert.equal(started.code, 0, started.stdout + started.stderr);
      const room = await roomId(bureau, SCRIBE);
      await eventually(
        "the report",
        async () => (await stateEvents(bureau, room, "m.bureau.report"))[0],
        30_000,
      );
      assert.equal((await bureau.cli("matrix", "send", "scribe", "report README.md")).code, 0);
      await eventually(
        "an answer",
        async () =>
          (await messages(bureau, room)).some((event) =>
            String(event.content["body"]).startsWith("README.md: ")
          ),
      );
      // Stopped and started again: the same accounts, rooms and agent, and no second report.
      await bureau.down();
      const again = await start();
      assert.equal(again.code, 0, again.stdout + again.stderr);
      await eventually("the agent runs again", async () => {
        const status = await bureau.cli("status");
        return /agent\/scribe\s+running/.test(status.stdout);
      });
      assert.equal((await bureau.cli("matrix", "send", "scribe", "report src")).code, 0);
      await eventually(
        "another answer",
        async () =>
          (await messages(bureau, room)).some((event) =>
            String(event.content["body"]).startsWith("src/: ")
          ),
      );
      const reports = (await messages(bureau, room)).filter((event) =>
        String(event.content["body"]).startsWith("Repository at commit")
      );
      assert.equal(reports.length, 1);
    });
  }, "synapse");
});
