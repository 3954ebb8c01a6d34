// SPDX-License-Identifier: Apache-2.0

/** The tutorial, by somebody who does what it says. */
import assert from "node:assert/strict";
import { type Bureau, eventually, withBureau } from "./harness.ts";
import { PersonTerminal } from "./terminal.ts";

const PATIENCE_MS = 120_000;
const TASKS = new URL("../../tasks/bureau", import.meta.url).pathname;

/** What it says to type, as it stands on the screen, one after the other. */
class Newcomer {
  #done = 0;

  constructor(
    readonly bureau: Bureau,
    readonly tutorial: PersonTerminal,
    readonly second: PersonTerminal,
  ) {}

  /** The next line of that kind, once it is shown. */
  async #next(sign: "$" | ">"): Promise<string> {
    return await eventually(`another line to type`, async () => {
      const lines = (await this.tutorial.screen()).split("\n").filter((line) =>
        /^ {2}[$>] /.test(line)
      );
      const next = lines[this.#done];
      if (next === undefined) return null;
      assert.equal(next[2], sign, next);
      this.#done++;
      return next.slice(4).trim();
    }, PATIENCE_MS);
  }

  /** Typed in the second terminal; `instead`: where the reader answers in another way. */
  async types(instead = (line: string) => line): Promise<void> {
    await this.second.enter(`clear; ${instead(await this.#next("$"))}`);
  }

  async typesInside(): Promise<void> {
    const line = await this.#next(">");
    // Drawn while it watches: else a shell of the host's would read the line.
    await this.second.shows(/agent\/tutor · /, PATIENCE_MS);
    await this.second.enter(line);
  }

  async leaves(): Promise<void> {
    await this.second.press("C-]", "d");
    await this.second.shows(/^\$ *$/m, PATIENCE_MS);
  }

  async sees(text: string | RegExp): Promise<void> {
    await this.tutorial.shows(text, PATIENCE_MS);
  }
}

Deno.test("the tutorial goes through an agent's life with who does what it says", async () => {
  await withBureau(async (bureau) => {
    const before = await bureau.cli("tutorial");
    assert.deepEqual([before.code, /deno task up/.test(before.stderr)], [3, true], before.stderr);
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stdout + up.stderr);
    await using tutorial = await PersonTerminal.open(300, 100);
    await using second = await PersonTerminal.open(150, 50);
    const places = `BUREAU_STATE_DIR=${bureau.stateDir} BUREAU_RUN_DIR=${bureau.runDir}`;
    for (const terminal of [tutorial, second]) {
      await terminal.enter(`export ${places} PATH=${Deno.env.get("PATH")}; clear`);
    }
    const reader = new Newcomer(bureau, tutorial, second);
    const wrong = await bureau.cli("tutorial", "--from", "9");
    assert.deepEqual([wrong.code, /there are 1 to 6/.test(wrong.stderr)], [2, true], wrong.stderr);
    // Whoever leaves is told how to come back.
    await tutorial.enter(`sh ${TASKS} tutorial; echo "left $?"`);
    await tutorial.shows("1 of 6", PATIENCE_MS);
    await tutorial.press("C-c");
    await tutorial.shows(/tutorial --from 1` goes on here[^]*^left 130$/m, PATIENCE_MS);
    await tutorial.enter(`clear; sh ${TASKS} tutorial --command 'sh ${TASKS}'; echo "left $?"`);
    await tutorial.shows(/^1 of 6[^]*agent-shell$/m, PATIENCE_MS);

    await reader.types();
    await reader.sees("✓ it runs");

    await reader.types();
    await reader.typesInside();
    await second.shows(/^hello from inside/m, PATIENCE_MS);
    await reader.leaves();
    await reader.sees("✓ it said so, and you left");

    await reader.types();
    await reader.types();
    await reader.sees("✓ it answered");

    await reader.types();
    await reader.types();
    await reader.sees("✓ it is sealed");
    // Look for it inside: the reader opens the terminal once more, and finds nothing.
    await second.enter(`clear; sh ${TASKS} observe tutor`);
    await reader.typesInside();
    await second.shows(/^0\s*$/m, PATIENCE_MS);
    await reader.leaves();

    await reader.types();
    await second.enter(`clear; sh ${TASKS} observe tutor`);
    await reader.typesInside();
    await eventually("it asks", async () => {
      const { pending } = await bureau.json<{ pending: { host: string }[] }>("egress", "list");
      return pending.some(({ host }) => host === "example.org");
    }, PATIENCE_MS);
    await reader.leaves();
    await reader.types();
    // Not to be asked of the real one by a test: the other answer.
    await reader.types((line) => line.replace(" approve ", " deny "));
    await reader.sees("✓ example.org: denied");

    await reader.types();
    await reader.sees("✓ it is gone");
    await reader.sees(/That was all[^]*^left 0$/m);
  });
});
