// SPDX-License-Identifier: Apache-2.0

/** Tab, in the shells that people have. */
import { type Bureau, eventually, skip, step, withBureau } from "./harness.ts";
import { PersonTerminal } from "./terminal.ts";
import assert from "node:assert/strict";

const TASKS = new URL("../../tasks/bureau", import.meta.url).pathname;

interface Shell {
  readonly start: string;
  readonly load: string;
}

const SHELLS: Readonly<Record<string, Shell>> = {
  bash: {
    start: "bash --noprofile --norc",
    load: `eval "$(sh ${TASKS} completion bash)"`,
  },
  zsh: { start: "zsh -f", load: `eval "$(sh ${TASKS} completion zsh)"` },
  fish: { start: "fish --private --no-config", load: `sh ${TASKS} completion fish | source` },
};

/** Has the line that begins so completed, until it ends so. */
async function completes(terminal: PersonTerminal, begun: string, whole: string): Promise<void> {
  await terminal.type(begun);
  await terminal.press("Tab");
  await terminal.shows(whole);
  await terminal.press("C-e", "C-u");
  await terminal.enter("clear");
  await eventually("the line is gone", async () => !(await terminal.screen()).includes(whole));
}

async function inShell(bureau: Bureau, { start, load }: Shell): Promise<void> {
  await using terminal = await PersonTerminal.open(120, 30);
  const places = `BUREAU_STATE_DIR=${bureau.stateDir} BUREAU_RUN_DIR=${bureau.runDir}`;
  await terminal.enter(`env HOME=${terminal.dir} HISTFILE= PS1='% ' ${places} ${start}`);
  await terminal.enter(`clear; ${load}; bureau version; echo lo""aded`);
  // The name itself works, too.
  await terminal.shows(/^bureau \d[^]*^loaded/m);
  await terminal.enter("clear");
  await completes(terminal, "bureau obs", "bureau observe");
  await completes(terminal, "bureau observe scr", "bureau observe scribe");
  await completes(terminal, "bureau template show bureau/template:agent-sh", ":agent-shell");
  await completes(
    terminal,
    "bureau agent create x --template=bureau/template:agent-sh",
    ":agent-shell",
  );
  await completes(terminal, "bureau --json matrix send \\#bureau/sys", "#bureau/system");
  await completes(terminal, "bureau template show x --reso", "--resolved");
  await completes(terminal, "bureau template validate /etc/hostn", "/etc/hostname");
  // What it writes at its end it has written when the first shell is back.
  await terminal.enter("clear; exit");
  await terminal.shows(/^\$ *$/m);
}

async function plugin(bureau: Bureau): Promise<void> {
  const bin = `${bureau.stateDir}/bin`;
  await Deno.mkdir(bin);
  for (const name of ["hello", "version"]) {
    const text = `#!/bin/sh\necho "$BUREAU_STATE_DIR"\nprintf '<%s>' "$@"\nexit 7\n`;
    await Deno.writeTextFile(`${bin}/bureau-${name}`, text, { mode: 0o755 });
  }
  const call = async (...args: string[]) => {
    const { code, stdout } = await new Deno.Command("sh", {
      args: [TASKS, ...args],
      env: {
        PATH: `${bin}:${Deno.env.get("PATH")}`,
        BUREAU_STATE_DIR: bureau.stateDir,
        BUREAU_RUN_DIR: bureau.runDir,
      },
    }).output();
    return { code, text: new TextDecoder().decode(stdout) };
  };
  assert.deepEqual(await call("hello", "a b", "--c"), {
    code: 7,
    text: `${bureau.stateDir}\n<a b><--c>`,
  });
  // What Bureau has itself comes first.
  const { code, text } = await call("version");
  assert.equal(code, 0);
  assert.match(text, /^bureau \d/);
}

Deno.test("Tab completes commands, flags, names and files in bash, zsh and fish", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stdout + up.stderr);
    await step(t, bureau, "a program bureau-NAME is a command", () => plugin(bureau));
    for (const [name, shell] of Object.entries(SHELLS)) {
      const found = await new Deno.Command("sh", { args: ["-c", `command -v ${name}`] }).output();
      if (!found.success) await skip(t, `${name} is not installed (apt-get install ${name})`);
      else await step(t, bureau, name, () => inShell(bureau, shell));
    }
  });
});
