// SPDX-License-Identifier: Apache-2.0

/** Recordings as a person has them: listed, read, followed, played, exported, also of an agent that is gone. */
import assert from "node:assert/strict";
import { readCast } from "../../src/lib/recording/mod.ts";
import { eventually, ROOT, withBureau } from "./harness.ts";
import { PersonTerminal } from "./terminal.ts";

/** The example agent's own lines begin with the time. */
const SAID = /^\d\d:\d\d:\d\d /m;

Deno.test("a terminal's recordings are a person's to read, and outlive the agent", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    const log = async (...words: string[]) => {
      const { code, stdout, stderr } = await bureau.cli("log", ...words);
      assert.equal(code, 0, `${words.join(" ")}: ${stdout}${stderr}`);
      return stdout;
    };
    const quoted = (word: string) => `'${word}'`;
    const asPerson = async (person: PersonTerminal, command: string) => {
      const environment = `BUREAU_STATE_DIR=${quoted(bureau.stateDir)} ` +
        `BUREAU_RUN_DIR=${quoted(bureau.runDir)}`;
      await person.enter(`clear; cd ${quoted(ROOT)}`);
      await person.enter(`clear; ${environment} sh tasks/bureau log ${command}; echo "ended $?"`);
    };

    await t.step("what it said is shown as text, and listed", async () => {
      await eventually("it is recorded", async () => {
        const { code, stdout } = await bureau.cli("log", "show", "agent/scribe");
        if (code !== 0 || !SAID.test(stdout)) throw new Error(stdout);
        return true;
      });
      assert.match(await log("list"), /^agent\/scribe +1 /m);
      assert.match(
        await log("list", "scribe"),
        /^\d{8}T\d{9}Z-[0-9a-f]{8}\.0001 .* being written$/m,
      );
      // deno-lint-ignore no-control-regex -- what must not be there
      assert.doesNotMatch(await log("show", "scribe", "--times"), /[\x00-\x09\x0b-\x1f\x7f]/);
    });

    await t.step("it is exported as what players read", async () => {
      const cast = await log("export", "scribe");
      const { header, events } = await readCast(
        ReadableStream.from([new TextEncoder().encode(cast)]),
      );
      assert.ok(header.cols > 0 && header.title.endsWith("agent/scribe"));
      const all = await Array.fromAsync(events);
      assert.ok(all.some(({ code, data }) => code === "o" && data.includes("\x1b[")));
      assert.match(await log("export", "scribe", "all", "--format", "text"), SAID);
      assert.equal((await bureau.cli("log", "export", "scribe", "--format", "gif")).code, 2);
    });

    await t.step("it plays in a terminal, which is as it was afterwards", async () => {
      await using person = await PersonTerminal.open(130, 45);
      await asPerson(person, "play scribe --speed 0.2");
      await person.shows(SAID);
      await person.press("q");
      assert.match(await person.shows(/ended \d+/), /ended 0/);
    });

    await t.step("it is followed while a person types", async () => {
      await using person = await PersonTerminal.open(130, 45);
      await asPerson(person, "tail scribe --lines 20");
      await person.shows(SAID);
      await using watcher = await PersonTerminal.open(100, 30);
      await watcher.enter(`clear; cd ${quoted(ROOT)}`);
      await watcher.enter(
        `clear; BUREAU_STATE_DIR=${quoted(bureau.stateDir)} BUREAU_RUN_DIR=${
          quoted(bureau.runDir)
        } sh tasks/bureau observe scribe`,
      );
      await person.shows(/^-- @\S+ watches$/m);
      await watcher.press("C-]", "d");
      await person.shows(/^-- @\S+ watches no more$/m);
      await person.press("C-c");
      assert.match(await person.shows(/^ended \d+/m), /^ended (0|130)/m);
    });

    await t.step("destroyed, it is still there", async () => {
      const { code, stderr } = await bureau.cli("agent", "destroy", "scribe", "--yes");
      assert.equal(code, 0, stderr);
      await eventually("its end is recorded", async () => {
        const list = await bureau.cli("log", "list", "scribe");
        if (list.code !== 0 || list.stdout.includes("being written")) throw new Error(list.stdout);
        return true;
      });
      assert.match(await log("show", "scribe", "all"), SAID);
      const { code: other } = await bureau.cli("log", "show", "agent/nobody");
      assert.equal(other, 5);
    });
  });
});
