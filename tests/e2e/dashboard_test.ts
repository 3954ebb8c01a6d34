// SPDX-License-Identifier: Apache-2.0

/** A person at a dashboard of a whole Bureau: what it shows, what it writes, and that nothing stays of it. */
import assert from "node:assert/strict";
import { bureauTemplate, signAssignment } from "../bench/assignments.ts";
import { type Bureau, eventually, processesOf, ROOT, withBureau } from "./harness.ts";
import { PersonTerminal } from "./terminal.ts";

interface Shown {
  readonly stored: boolean;
  readonly layout: {
    readonly windows: {
      readonly name: string;
      readonly panes: { readonly observe?: string; readonly size?: number }[];
    }[];
  };
}

const PATIENCE_MS = 60_000;

async function sitDown(bureau: Bureau, terminal: PersonTerminal, command: string): Promise<void> {
  const directories = `BUREAU_STATE_DIR=${bureau.stateDir} BUREAU_RUN_DIR=${bureau.runDir}`;
  await terminal.enter(`clear; cd ${ROOT}; export ${directories}; ${command}; echo "ended $?"`);
}

/** The directory of the dashboard's tmux, from the environment of what runs in its panes. */
async function scratchOf(bureau: Bureau): Promise<string> {
  return await eventually("a pane runs", async () => {
    for (const pid of await processesOf(bureau)) {
      const environment = await Deno.readTextFile(`/proc/${pid}/environ`).catch(() => "");
      const found = /(?:^|\0)TMUX=(\/tmp\/bureau-dashboard\.[^/]+)\//.exec(environment);
      if (found !== null) return found[1]!;
    }
    return null;
  }, PATIENCE_MS);
}

async function nothingStays(bureau: Bureau, scratch: string): Promise<void> {
  await eventually("nothing stays of it", async () => {
    const there = await Deno.stat(scratch).then(() => true, () => false);
    if (there) throw new Error(`${scratch} is there`);
    for (const pid of await processesOf(bureau)) {
      const line = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
      if (/dashboard|\0observe\0/.test(line)) throw new Error(line.replaceAll("\0", " "));
    }
    return true;
  }, PATIENCE_MS);
}

Deno.test("bureau dashboard shows agents side by side, follows the room, and writes what a person moves", async (t) => {
  await withBureau(async (bureau) => {
    const step = async (name: string, act: () => Promise<void>) => {
      if (!await t.step(name, act)) throw new Error(`"${name}" failed`);
    };
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    await bureauTemplate(bureau, "shell", {
      inherits: ["bureau/template:base"],
      command: ["/bin/sh", "-i"],
      restart_policy: "never",
    });
    await (await signAssignment(bureau, "shell", "shell", "running")).put();
    await eventually("both run", async () => {
      const { principals } = await bureau.json<{ principals: { phase: string }[] }>("list");
      return principals.filter(({ phase }) => phase === "running").length === 2;
    }, PATIENCE_MS);
    const layoutNow = () => bureau.json<Shown>("layout", "show");
    const set = async (yaml: string) => {
      const file = `${bureau.stateDir}/layout.yaml`;
      await Deno.writeTextFile(file, yaml);
      return await bureau.cli("layout", "set", file);
    };

    await step("both agents are there, and can be typed to", async () => {
      await using terminal = await PersonTerminal.open(150, 44);
      await sitDown(bureau, terminal, "sh tasks/bureau dashboard");
      const scratch = await scratchOf(bureau);
      await terminal.shows(/listening; I know/, PATIENCE_MS);
      await terminal.shows(/agent\/shell · type to take the keyboard/, PATIENCE_MS);
      await terminal.shows(/2 of 2 run/, PATIENCE_MS);
      assert.equal((await layoutNow()).stored, false, "looking at it writes nothing");
      // The first one is in front: the other is one key away.
      await terminal.press("C-a", "Down");
      await terminal.enter("echo shell-$((6*7))");
      await terminal.shows("shell-42", PATIENCE_MS);
      await terminal.press("C-a", "d");
      await terminal.shows(/^ended 0$/m, PATIENCE_MS);
      await nothingStays(bureau, scratch);
    });

    await step(
      "what is written into the room is seen at once; what is moved is written",
      async () => {
        await using terminal = await PersonTerminal.open(150, 44);
        await sitDown(bureau, terminal, "sh tasks/bureau dashboard");
        const scratch = await scratchOf(bureau);
        await terminal.shows(/2 of 2 run/, PATIENCE_MS);
        const written = await set(
          "windows:\n- name: pair\n  panes:\n  - observe: agent/shell\n" +
            "  - {observe: agent/scribe, split: horizontal, size: 40}\n" +
            "- {name: later, panes: [{role: notes}]}\n",
        );
        assert.equal(written.code, 0, written.stderr);
        await terminal.shows(/1:pair.*2:later|0:pair.*1:later/, PATIENCE_MS);
        // Side by side: one line has both.
        await terminal.shows(/agent\/shell .*agent\/scribe /, PATIENCE_MS);

        /**
         * Typed anew where it did not arrive: panes that are being made take keys as well. Which window is in front by
         * then is anybody's guess, so each says which it means.
         */
        const command = (text: string, done: () => Promise<boolean>) =>
          eventually(`${text} is written`, async () => {
            await terminal.press("C-a", ":");
            await terminal.enter(text);
            return await eventually(text, done, 10_000).catch(async (thrown) => {
              throw new Error(`${thrown.message}; it shows:\n${await terminal.screen()}`);
            });
          }, 2 * PATIENCE_MS);
        await command(
          "rename-window -t pair both",
          async () =>
            (await layoutNow()).layout.windows.map(({ name }) => name).join() === "both,later",
        );
        await command("resize-pane -t both.0 -x 50", async () => {
          const [window] = (await layoutNow()).layout.windows;
          return window!.panes[1]!.size === 66;
        });
        // A terminal of another size is no other layout.
        await terminal.resize(120, 40);
        await terminal.press("C-a", ":");
        await terminal.enter("kill-window -t later");
        await eventually(
          "the end of a window is written",
          async () => (await layoutNow()).layout.windows.length === 1,
          PATIENCE_MS,
        );
        assert.deepEqual(
          (await layoutNow()).layout.windows[0]!.panes.map(({ observe }) => observe),
          ["agent/shell", "agent/scribe"],
        );
        // However it ends, nothing stays.
        const shell = await shellOf(bureau);
        Deno.kill(shell, "SIGKILL");
        await nothingStays(bureau, scratch);
      },
    );

    await step("a command in a layout runs when the person says so, and no sooner", async () => {
      const mark = `${bureau.stateDir}/ran`;
      assert.equal(
        (await set(`windows: [{name: w, panes: [{command: "touch ${mark}; sleep 1000"}]}]\n`)).code,
        0,
      );
      await using terminal = await PersonTerminal.open(150, 44);
      await sitDown(bureau, terminal, "sh tasks/bureau dashboard");
      await terminal.shows(/^Enter runs it, ctrl-C does not/m, PATIENCE_MS);
      const there = () => Deno.stat(mark).then(() => true, () => false);
      assert.equal(await there(), false);
      await terminal.press("Enter");
      await eventually("it ran", there, PATIENCE_MS);
      await terminal.press("C-a", "d");
      await terminal.shows(/^ended 0$/m, PATIENCE_MS);
    });

    await step("layout edit shows a mistake with its place, and writes what is sound", async () => {
      const editor = `${bureau.stateDir}/editor`;
      await Deno.writeTextFile(
        editor,
        `#!/bin/sh\nif grep -q 'sise' "$1"; then sed -i 's/sise: 40/size: 40/' "$1"; else\n` +
          `printf 'windows:\\n- name: edited\\n  panes:\\n  - observe: agent/shell\\n  - {observe: agent/scribe, sise: 40}\\n' >"$1"; fi\n`,
        { mode: 0o755 },
      );
      await using terminal = await PersonTerminal.open(150, 30);
      await sitDown(bureau, terminal, `EDITOR=${editor} sh tasks/bureau layout edit`);
      await terminal.shows(
        /layout\.yaml:5:29: windows\[0\]\.panes\[1\]\.sise is no field of a layout/,
        PATIENCE_MS,
      );
      await terminal.shows(/Edit it again\?/);
      await terminal.press("Enter");
      await terminal.shows(/wrote the layout of .*: edited/, PATIENCE_MS);
      await terminal.shows(/^ended 0$/m);
      assert.equal((await layoutNow()).layout.windows[0]!.panes[1]!.size, 40);
      // Taken away: all that is there again.
      assert.equal((await set("windows: []\n")).code, 0);
      assert.equal((await layoutNow()).stored, false);
    });
  });
});

async function shellOf(bureau: Bureau): Promise<number> {
  for await (const entry of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(entry.name)) continue;
    const environment = await Deno.readTextFile(`/proc/${entry.name}/environ`).catch(() => "");
    if (!environment.includes(`BUREAU_RUN_DIR=${bureau.runDir}\0`)) continue;
    const line = await Deno.readTextFile(`/proc/${entry.name}/cmdline`).catch(() => "");
    if (line !== "sh\0tasks/bureau\0dashboard\0") continue;
    const status = await Deno.readTextFile(`/proc/${entry.name}/stat`).catch(() => "");
    const parent = Number(status.slice(status.lastIndexOf(")")).split(" ")[2]);
    const parentLine = await Deno.readTextFile(`/proc/${parent}/cmdline`).catch(() => "");
    // Its subshells have the same words.
    if (parentLine !== line) return Number(entry.name);
  }
  throw new Error("no dashboard runs");
}
