// SPDX-License-Identifier: Apache-2.0

/** Whoever watches an agent does so while they may, and not longer. */
import assert from "node:assert/strict";
import { type Bureau, eventually, step, withBureau } from "./harness.ts";
import { matrix, type MatrixEvent, roomId } from "./matrix.ts";
import { PersonTerminal } from "./terminal.ts";

const TASKS = new URL("../../tasks/bureau", import.meta.url).pathname;

async function observe(bureau: Bureau, terminal: PersonTerminal, ...flags: string[]) {
  const words = ["sh", TASKS, "observe", "scribe", ...flags, "--state-dir", bureau.stateDir];
  const line = [...words, "--run-dir", bureau.runDir].join(" ");
  await terminal.enter(`clear; ${line}; echo "ended $?"`);
  // Drawn by the agent, not by the command.
  await terminal.shows(/^(?!.*tasks\/bureau).*\b(listening|Most changed|I know: )/m);
}

Deno.test("rights that end while somebody watches end the watching", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stdout + up.stderr);
    await eventually("it runs", async () => {
      const { phase } = await bureau.json<{ phase: string }>("agent", "show", "scribe");
      return phase === "running";
    }, 60_000);
    const { user_id: me, machine } = JSON.parse(
      await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
    );
    const config = encodeURIComponent(await roomId(bureau, machine));
    const path = `rooms/${config}/state/m.bureau.authorization/${encodeURIComponent(me.slice(1))}`;
    const policy = async (denials: { actions: string[]; expires_at?: string }[]) =>
      void await matrix(bureau, path, { method: "PUT", body: { denials } });
    const may = async (action: string) =>
      (await bureau.cli("auth", "check", "me", action, "scribe")).code === 0;

    await step(t, bureau, "who may not type any more watches on, a reader too", async () => {
      await using typist = await PersonTerminal.open(110, 30);
      await using reader = await PersonTerminal.open(110, 30);
      await observe(bureau, typist);
      await observe(bureau, reader, "--read-only");
      await policy([{ actions: ["observe/read-write"] }]);
      await typist.shows(/you may not type here any more/);
      // It watches on, without a keyboard. What the reader sees comes after what the typist asks in vain.
      await typist.enter("report src/forbidden");
      await policy([]);
      await eventually("it may be typed again", () => may("observe/read-write"), 60_000);
      await typist.shows(/you may type here/);
      await using other = await PersonTerminal.open(110, 30);
      await observe(bureau, other);
      await other.enter("report src/allowed");
      await other.shows("no such path: src/allowed");
      assert.doesNotMatch(await reader.screen(), /forbidden/);
      // Control: it is the same session still.
      await reader.shows("no such path: src/allowed");
      await policy([{ actions: ["observe/**"] }]);
      for (const terminal of [reader, typist, other]) {
        await terminal.shows(/you may not (watch it|type here) any more/);
        await terminal.shows(/^ended \d/m);
      }
    });

    await step(
      t,
      bureau,
      "who typed stands in the config room, who only watched does not",
      async () => {
        const audit = async () => {
          const page = await matrix<{ chunk: MatrixEvent[] }>(
            bureau,
            `rooms/${config}/messages?dir=b&limit=500`,
          );
          return page.chunk.filter(({ type }) => type === "m.bureau.audit");
        };
        const told = await eventually("it is told", async () => {
          const all = await audit();
          return all.length >= 2 ? all : null;
        }, 60_000);
        for (const { sender, content } of told) {
          assert.match(sender, /machine/);
          assert.deepEqual([content["actor"], content["action"]], [me, "observe/read-write"]);
        }
      },
    );

    await step(t, bureau, "a denial that ends by itself lets them back", async () => {
      await policy([{
        actions: ["observe/**"],
        expires_at: new Date(Date.now() + 3_000).toISOString(),
      }]);
      await eventually("it has ended", () => may("observe/read-write"), 60_000);
    });
  });
});
