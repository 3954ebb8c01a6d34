// SPDX-License-Identifier: Apache-2.0

/**
 * Makes docs/recordings anew: Claude Code and Codex, the real programs, work in one repository and talk in one room, while
 * an operator looks on and merges. Their models are stand-ins with a script, and nothing leaves this machine.
 *
 *   deno run --allow-all tests/recordings/make.ts [PROGRAMS]
 *
 * The agents' terminals are Bureau's own recordings (`bureau log export`); the operator's is one of `script`.
 */
import assert from "node:assert/strict";
import { startModels } from "../../src/agent/testing/model/mod.ts";
import { createAgent, type ModelService, publishTemplate } from "../e2e/agents.ts";
import { type Bureau, eventually, ROOT, run, withBureau } from "../e2e/harness.ts";
import { messages, roomId } from "../e2e/matrix.ts";
import { PersonTerminal } from "../e2e/terminal.ts";
import { ofScript, readRecording, type Recording, redact, writeRecording } from "./cast.ts";
import { picture } from "./picture.ts";
import { makeRepository, REPORT, stage } from "./stage.ts";

const OUT = `${ROOT}/docs/recordings`;
const KEY = `sk-${crypto.randomUUID()}`;
const [COLUMNS, ROWS] = [112, 52];
/** And nothing behind it. */
const PROMPT = /~\/greeter \$\s*$/;

await withBureau(async (bureau) => {
  const models = startModels({ script: stage, keys: { anthropic: KEY, openai: KEY } });
  try {
    await makeRepository(bureau.repo);
    await begin(bureau);
    await agents(bureau, `http://127.0.0.1:${models.port}`);
    const operator = await operate(bureau);
    const names = namesOf(bureau);
    const all: Recording[] = [redact(operator, names)];
    for (const agent of ["ada", "ben"]) {
      const { code, stdout, stderr } = await bureau.cli("log", "export", agent, "all");
      assert.equal(code, 0, stderr);
      all.push(redact(await readRecording(stdout), names));
    }
    await Deno.mkdir(OUT, { recursive: true });
    for (const [at, name] of ["operator", "ada", "ben"].entries()) {
      await writeRecording(`${OUT}/${name}.cast`, all[at]!);
    }
    await Deno.writeTextFile(`${OUT}/two-agents.svg`, picture(all));
  } finally {
    await models.stop();
  }
});

/** @param programs of an earlier `agent install`: a directory `claude` and one `codex`; absent: they are fetched */
async function begin(bureau: Bureau, programs = Deno.args[0]): Promise<void> {
  const up = await bureau.up("--detach", "--no-agent");
  assert.equal(up.code, 0, up.stderr);
  if (programs !== undefined) {
    const copied = await run("cp", ["-a", `${programs}/.`, `${bureau.stateDir}/agents/`]);
    assert.equal(copied.code, 0, copied.stderr);
  }
  for (const program of ["claude", "codex"]) {
    const installed = await bureau.cli("agent", "install", program);
    assert.equal(installed.code, 0, installed.stderr);
  }
}

/** As docs/guide/two-agents.md has it; before the curtain, because keys are shown to nobody. */
async function agents(bureau: Bureau, url: string): Promise<void> {
  const claude: ModelService = { service: "anthropic", credential: "claude", url, key: KEY };
  const codex: ModelService = {
    service: "openai",
    credential: "codex",
    url: `${url}/v1`,
    key: KEY,
  };
  const one = await publishTemplate(bureau, "claude", "agent-claude", claude);
  await createAgent(bureau, "ada", one, claude);
  // Its newest models call tools by programs of their own; the stand-in has no such.
  const other = await publishTemplate(bureau, "codex", "agent-codex", codex);
  await createAgent(bureau, "ben", other, codex, "--payload", '{"model":"gpt-5-codex"}');
  for (const agent of ["ada", "ben"]) {
    await eventually(`${agent} listens`, async () => {
      const { stdout } = await bureau.cli("observe", agent, "--dump");
      return stdout.includes("listening in");
    }, 120_000);
  }
}

/** What a person does, typed as a person types. */
async function operate(bureau: Bureau): Promise<Recording> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-r-" });
  try {
    await using person = await PersonTerminal.open(COLUMNS, ROWS);
    const quoted = (text: string) => `'${text}'`;
    await Deno.writeTextFile(
      `${dir}/profile`,
      `cd ${quoted(bureau.repo)}; PS1='~/greeter $ '
bureau() { sh ${quoted(`${ROOT}/tasks/bureau`)} "$@"; }
export BUREAU_STATE_DIR=${quoted(bureau.stateDir)} BUREAU_RUN_DIR=${quoted(bureau.runDir)}
`,
    );
    await person.enter(
      `clear; ENV=${dir}/profile TERM=xterm-256color script --quiet --flush ` +
        `--log-out ${dir}/out --log-timing ${dir}/timing --command /bin/sh`,
    );
    await person.shows(PROMPT);
    const type = async (text: string) => {
      for (const letter of text) {
        // To tmux a semicolon alone is the end of its command.
        await person.type(letter === ";" ? "\\;" : letter);
        await pause(18);
      }
      await pause(500);
      await person.press("Enter");
    };
    const enter = async (text: string) => {
      await type(text);
      await person.shows(PROMPT);
      await pause(1_500);
    };
    await enter(
      "# Claude Code (ada) and Codex (ben) in one repository. Their models are stand-ins.",
    );
    await enter("cat greet.sh; bureau agent list");
    await enter("bureau agent join ada room/team; bureau agent join ben room/team");
    await enter(
      'bureau matrix send room/team "@ada: let greet.sh greet by name, and have ben test it"',
    );
    await type("bureau matrix messages room/team --follow");
    const room = await roomId(bureau, "bureau/fleet/dev/room/team");
    await eventually(
      "Ada reports",
      async () => (await messages(bureau, room)).some(({ content }) => content["body"] === REPORT),
      180_000,
    );
    await person.shows(REPORT.slice(0, 30));
    await pause(3_000);
    await person.press("C-c");
    await person.shows(PROMPT);
    await enter("bureau agent diff ada");
    await enter("bureau agent merge ada");
    await enter("bureau agent diff ben --stat; bureau agent merge ben --message 'A test, by ben'");
    await enter("sh test.sh && git log --graph --format='%h %an: %s'");
    await person.press("C-d");
    await eventually(
      "it is written",
      async () => /COMMAND_EXIT_CODE/.test(await Deno.readTextFile(`${dir}/out`)),
    );
    return await ofScript(`${dir}/out`, `${dir}/timing`, {
      cols: COLUMNS,
      rows: ROWS,
      startedAt: Date.now(),
      title: "operator",
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** What must not be seen, and what stands in its place. */
function namesOf(bureau: Bureau): [string, string][] {
  return [
    [bureau.repo, "~/greeter"],
    [bureau.stateDir, "~/.local/state/bureau"],
    [bureau.runDir, "/run/bureau"],
    [ROOT, "~/bureau"],
    [Deno.hostname(), "box"],
  ];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
