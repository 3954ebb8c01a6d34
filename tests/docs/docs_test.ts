// SPDX-License-Identifier: Apache-2.0

/**
 * Every command that the documentation shows works: each line of each `sh` block is run against a Bureau of
 * this test's own, in the order of the page, or stands in `rules.ts` with the reason why not.
 */
import assert from "node:assert/strict";
import { type Bureau, eventually, ROOT, run, withBureau } from "../e2e/harness.ts";
import { PersonTerminal } from "../e2e/terminal.ts";
import { commandsOf, type DocumentedCommand } from "./commands.ts";
import { LOOKS, PAGES, type Treatment, treatmentOf } from "./rules.ts";

const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

/** The environment in which a documented command, word for word, means this test's Bureau. */
function environment(bureau: Bureau): string {
  const deno = Deno.execPath();
  return [
    `BUREAU_STATE_DIR=${quoted(bureau.stateDir)}`,
    `BUREAU_RUN_DIR=${quoted(bureau.runDir)}`,
    `PATH=${quoted(deno.slice(0, deno.lastIndexOf("/")))}:"$PATH"`,
  ].join(" ");
}

async function shell(bureau: Bureau, text: string): Promise<void> {
  const done = await run("sh", ["-c", `export ${environment(bureau)}; ${text}`]);
  assert.equal(done.code, 0, `${text}: status ${done.code}\n${done.stdout}${done.stderr}`);
}

async function start(bureau: Bureau, text: string): Promise<void> {
  // A page may start what the page before it left running.
  await bureau.down();
  const ports = `--listen 127.0.0.1:${bureau.ports.homeserver} ` +
    `--authority 127.0.0.1:${bureau.ports.authority}`;
  await shell(bureau, `${text} --detach --repo ${quoted(bureau.repo)} ${ports}`);
  // A person reads the screen first; meanwhile the agent starts.
  await eventually("the agent runs", async () => {
    const status = await bureau.cli("status");
    if (!/^agent\/scribe +running/m.test(status.stdout)) throw new Error(status.stdout);
    return true;
  });
}

async function asPerson(
  bureau: Bureau,
  text: string,
  treatment: Treatment & { kind: "person" },
): Promise<void> {
  await using person = await PersonTerminal.open(110, 30);
  await person.enter(`clear; cd ${quoted(ROOT)}; export ${environment(bureau)}`);
  await person.enter(`clear; ${text}; echo "ended $?"`);
  await person.shows(treatment.sees);
  await treatment.types(person);
  assert.match(await person.shows(/^ended \d+/m), /^ended 0/m, text);
}

async function follow(bureau: Bureau, text: string, treatment: Treatment): Promise<void> {
  switch (treatment.kind) {
    case "run":
    case "limits":
      return await shell(bureau, text);
    case "once-running":
      return await eventually(text, async () => {
        await shell(bureau, text);
        return true;
      }).then(() => {});
    case "start":
      return await start(bureau, text);
    case "person":
      return await asPerson(bureau, text, treatment);
    case "not-run":
      // Shown as ignored, with the reason in its name.
      return;
  }
}

async function reasonNotTo(bureau: Bureau, treatment: Treatment): Promise<string | null> {
  if (treatment.kind === "not-run") return treatment.reason;
  if (treatment.kind !== "limits") return null;
  // Written by `up` when it has a place for them.
  const place = await Deno.readTextFile(`${bureau.runDir}/cgroups`).catch(() => null);
  return place === null ? "this machine gives us no control groups" : null;
}

Deno.test("every documented command works, page by page", async (t) => {
  await withBureau(async (bureau) => {
    // The host of spawned workers stays, whatever becomes of this test.
    await using _ = {
      [Symbol.asyncDispose]: () => shell(bureau, "sh tasks/bureau worker stop --all --yes"),
    };
    const done = new Set<string>();
    for (const page of PAGES) {
      const commands = commandsOf(page, await Deno.readTextFile(`${ROOT}/${page}`));
      assert.ok(commands.length > 0, `${page} shows no command: is its language still "sh"?`);
      // A reference is in the order of its groups: what ends the agent comes after what is tried on it.
      const ends = ({ text }: DocumentedCommand) => / agent destroy | --down$/.test(text);
      const followed = page.startsWith("docs/reference/")
        ? [...commands.filter((each) => !ends(each)), ...commands.filter(ends)]
          .filter(({ text }) => !done.has(text) || !LOOKS.test(text))
        : commands;
      for (const command of followed) {
        const treatment = treatmentOf(command);
        const why = await reasonNotTo(bureau, treatment);
        const ignore = why !== null;
        const isDone = await t.step({
          name: `${page}:${command.line}: ${command.text}${ignore ? ` (not run: ${why})` : ""}`,
          ignore,
          fn: () => follow(bureau, command.text, treatment),
        });
        if (ignore) continue;
        // Each builds on those before it.
        if (!isDone) return;
        done.add(command.text);
      }
    }
  });
});
