// SPDX-License-Identifier: Apache-2.0

/**
 * The real Claude Code and Codex, of npm, as agents in real sandboxes; only their models are mocks. They work in their
 * workspace, answer in their room, live through errors, restarts and the death of the daemon, and never have the key.
 */
import assert from "node:assert/strict";
import {
  type Ask,
  fail,
  type MockModels,
  type Reply,
  say,
  startModels,
  type ToolCall,
  type Turn,
} from "../../src/agent/testing/model/mod.ts";
import { principalHash } from "../../src/lib/ref/mod.ts";
import { skip } from "../../src/lib/testing/skip.ts";
import { type Bureau, eventually, findProcess, step, withBureau } from "../e2e/harness.ts";
import { matrix, messages, roomId } from "../e2e/matrix.ts";
import { scanDirectories } from "../interop/scan.ts";

interface Program {
  /** Of the program, its credential and the templates. */
  readonly name: "claude" | "codex";
  readonly service: string;
  readonly base: string;
  /** On its terminal, where a person writes. */
  readonly prompt: RegExp;
  /** Each a call of a tool, as its model makes it. */
  readonly tools: {
    readonly edits: readonly [name: string, input: Record<string, unknown>][];
    shell(command: string): [name: string, input: Record<string, unknown>];
    /** Of the MCP server `bureau`. */
    readonly bureau: (name: string) => Pick<ToolCall, "name" | "namespace">;
  };
}

const PATCH = "*** Begin Patch\n*** Update File: notes.txt\n@@\n-one\n+ONE\n*** End Patch";

const PROGRAMS: readonly Program[] = [
  {
    name: "claude",
    service: "anthropic",
    base: "",
    prompt: /^❯[^]*bypass permissions on/m,
    tools: {
      edits: [
        ["Read", { file_path: "/workspace/notes.txt" }],
        ["Edit", { file_path: "/workspace/notes.txt", old_string: "one", new_string: "ONE" }],
      ],
      shell: (command) => ["Bash", { command, description: "does it" }],
      bureau: (name) => ({ name: `mcp__bureau__${name}` }),
    },
  },
  {
    name: "codex",
    service: "openai",
    base: "/v1",
    prompt: /^› Ask Codex/m,
    tools: {
      edits: [
        ["exec_command", { cmd: "cat notes.txt" }],
        ["exec_command", { cmd: `apply_patch <<'EOF'\n${PATCH}\nEOF` }],
      ],
      shell: (cmd) => ["exec_command", { cmd }],
      bureau: (name) => ({ namespace: "mcp__bureau", name }),
    },
  },
];

/** What the model does for each message, by its first word, however often it is asked. */
class Play {
  /** What a model that never answers waits for: the end of the test. */
  readonly over = Promise.withResolvers<Reply>();
  readonly asked = new Map<string, Ask[]>();
  readonly #turns: Readonly<Record<string, readonly Turn[]>>;

  constructor(turns: (play: Play) => Readonly<Record<string, readonly Turn[]>>) {
    this.#turns = turns(this);
  }

  readonly script = (ask: Ask): Reply | Promise<Reply> => {
    const word = /@operator:\S+: ([A-Z]+)\b(?![^]*@operator:\S+: [A-Z])/.exec(ask.lastText)?.[1] ??
      "";
    const asks = this.asked.get(word) ?? [];
    this.asked.set(word, [...asks, ask]);
    const turn = this.#turns[word]?.[asks.length];
    if (turn === undefined) return fail(400, "invalid_request_error", `no turn for "${word}"`);
    return typeof turn === "function" ? turn(ask) : turn;
  };
}

const call = ([name, input]: readonly [string, Record<string, unknown>]): Reply => ({
  kind: "say",
  text: ["I see to it."],
  tools: [{ name, input }],
});

/** Goes on until it has heard what it waits for. */
const untilTold = ({ tools }: Program): Turn => (ask) =>
  JSON.stringify(ask.body).includes("STEER gently")
    ? say("Gently.")
    : call(tools.shell("sleep 0.2"));

const knows = (ask: Ask) =>
  say(JSON.stringify(ask.body).includes("EDIT the notes") ? "I know." : "Who?");

function playOf(program: Program): Play {
  const { tools } = program;
  return new Play((play) => ({
    EDIT: [
      ...tools.edits.map(call),
      call(tools.shell("wc -l <notes.txt; cat notes.txt >copy.txt")),
      (ask) => say(`It had ${/^\d+/m.exec(ask.toolResults.at(-1) ?? "")?.[0]} lines.`),
    ],
    LOOK: [
      call(tools.shell(
        "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'; find /home/agent /run /tmp -type f | head -500 | xargs cat 2>/dev/null",
      )),
      say("I looked."),
    ],
    TELL: [
      {
        kind: "say",
        tools: [{
          ...tools.bureau("bureau_messages_send"),
          input: { text: "By MCP.", notice: true },
        }],
      },
      (ask) => say(/"event_id"/.test(ask.toolResults.at(-1) ?? "") ? "Told." : "No tool."),
    ],
    BUSY: [fail(429, "rate_limit_error", "too many", 0), say("At last.")],
    DROP: [{ kind: "say", text: ["It begins", " and goes on"], dropAfter: 4 }, say("Whole.")],
    KNOW: [knows, knows],
    HOLD: [
      () => play.over.promise,
      (ask) => say(/started anew/.test(ask.lastText) ? "Again." : "First."),
    ],
    STEER: Array<Turn>(1_000).fill(untilTold(program)),
    AFTER: [say("Still here.")],
    PUSH: [
      ...[call(tools.shell("touch pushed")), say("No, then.")],
      ...[call(tools.shell("touch pushed")), say("It is.")],
    ],
  }));
}

/** Writes in the agent's room. @returns the answer to just that */
async function ask(bureau: Bureau, agent: string, text: string, wait = true): Promise<string> {
  const room = await roomId(bureau, `bureau/fleet/dev/${agent}`);
  const path = `rooms/${encodeURIComponent(room)}/send/m.room.message/${crypto.randomUUID()}`;
  const { event_id } = await matrix<{ event_id: string }>(bureau, path, {
    method: "PUT",
    body: { msgtype: "m.text", body: text },
  });
  return wait ? await answerTo(bureau, room, event_id) : event_id;
}

async function answerTo(bureau: Bureau, room: string, id: string): Promise<string> {
  return await eventually(`an answer to ${id}`, async () => {
    const answers = (await messages(bureau, room)).filter(({ content }) => {
      const relation = content["m.relates_to"] as { "m.in_reply_to"?: { event_id: string } };
      return relation?.["m.in_reply_to"]?.event_id === id;
    });
    assert.ok(answers.length <= 1, `answered ${answers.length} times`);
    return answers[0]?.content["body"] as string;
  }, 120_000);
}

/** @param kind what stands behind the program's name in that of the template */
async function create(
  bureau: Bureau,
  program: Program,
  models: MockModels,
  key: string,
  kind = "",
): Promise<void> {
  const { name, service, base } = program;
  const here = `127.0.0.1:${models.port}`;
  const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
  const inject = name === "claude"
    ? { inject_headers: { "X-Api-Key": name }, strip_headers: ["authorization"] }
    : { inject_headers: { Authorization: name }, auth_scheme: "Bearer" };
  await matrix(bureau, `rooms/${templates}/state/m.bureau.template/${name}${kind}`, {
    method: "PUT",
    body: {
      description: "with a mock of its model",
      inherits: [`bureau/template:agent-${name}${kind}`],
      proxy_services: { [service]: { upstream: `http://${here}${base}`, ...inject } },
      egress: { allow: [here] },
    },
  });
  const file = `${bureau.stateDir}-credentials.json`;
  const credentials = { [name]: { value: key, allowed_hosts: [here] } };
  await Deno.writeTextFile(file, JSON.stringify(credentials), { mode: 0o600 });
  try {
    const made = await bureau.cli(
      ...["agent", "create", `${name}${kind}`, "--template", `bureau/template:${name}${kind}`],
      // Its newest models call tools by programs of their own; the mock has no such.
      ...[
        "--repo",
        bureau.repo,
        "--credentials",
        file,
        ...(name === "codex" ? ["--payload", '{"model":"gpt-5-codex"}'] : []),
      ],
    );
    assert.equal(made.code, 0, made.stderr);
  } finally {
    await Deno.remove(file);
  }
}

/** What drives the program, and with it the sandbox. */
async function killDriver(bureau: Bureau, name: string): Promise<void> {
  const its = new RegExp(`^/opt/bureau/deno .*/opt/agent/driver\\.js ${name} `);
  const driver = await eventually("it runs", () => findProcess(bureau, (line) => its.test(line)));
  Deno.kill(driver, "SIGKILL");
}

for (const program of PROGRAMS) {
  const { name } = program;
  Deno.test(`${name}, the real one, is an agent like any other`, async (t) => {
    const key = `sk-${crypto.randomUUID()}`;
    const play = playOf(program);
    const models = startModels({ script: play.script, keys: { anthropic: key, openai: key } });
    try {
      await withBureau(async (bureau) => {
        const up = await bureau.up("--detach", "--no-agent");
        assert.equal(up.code, 0, up.stderr);
        const early = await bureau.cli(
          "agent",
          "create",
          name,
          "--template",
          `bureau/template:agent-${name}`,
        );
        assert.equal(early.code, 1);
        const installed = await bureau.cli("agent", "install", name);
        if (installed.code !== 0 && /npm gave no|there is no build/.test(installed.stderr)) {
          return await skip(t, installed.stderr);
        }
        assert.equal(installed.code, 0, installed.stderr);
        await create(bureau, program, models, key);
        const agent = `agent/${name}`;
        const dir = `${bureau.stateDir}/workspaces/${await principalHash(
          `bureau/fleet/dev/${agent}`,
        )}`;
        await Deno.writeTextFile(`${dir}/repo/notes.txt`, "one\ntwo\n");
        await Deno.chmod(`${dir}/repo/notes.txt`, 0o666);

        await step(t, bureau, "it reads and edits a file, runs a command and answers", async () => {
          assert.equal(await ask(bureau, agent, "EDIT the notes"), "It had 2 lines.");
          assert.equal(await Deno.readTextFile(`${dir}/repo/notes.txt`), "ONE\ntwo\n");
          assert.equal(await Deno.readTextFile(`${dir}/repo/copy.txt`), "ONE\ntwo\n");
          const diff = await bureau.cli("agent", "diff", name);
          assert.match(diff.stdout, /^\+ONE$/m, diff.stderr);
        });
        await step(t, bureau, "it has what its proxy does for it by MCP", async () => {
          assert.equal(await ask(bureau, agent, "TELL it"), "Told.");
          const room = await roomId(bureau, `bureau/fleet/dev/${agent}`);
          const said = (await messages(bureau, room)).map(({ content }) => content["body"]);
          assert.ok(said.includes("By MCP."));
        });
        await step(t, bureau, "it lives through 429 and a stream that breaks off", async () => {
          assert.equal(await ask(bureau, agent, "BUSY"), "At last.");
          assert.equal(await ask(bureau, agent, "DROP"), "Whole.");
        });
        await step(
          t,
          bureau,
          "the key is nowhere in its sandbox, nor in what it left",
          async () => {
            assert.equal(await ask(bureau, agent, "LOOK"), "I looked.");
            const seen = play.asked.get("LOOK")!.at(-1)!.toolResults.at(-1)!;
            // What it does see.
            assert.match(seen, /in-the-proxy/);
            assert.ok(!seen.includes(key));
            const look = () => scanDirectories([dir], { key });
            assert.deepEqual((await look()).findings, []);
            await Deno.writeTextFile(`${dir}/repo/planted`, `x${key}y`);
            assert.notEqual((await look()).findings.length, 0);
            await Deno.remove(`${dir}/repo/planted`);
            assert.equal(models.strangers(), 0);
          },
        );
        await step(t, bureau, "what is said while it works reaches the turn", async () => {
          const room = await roomId(bureau, `bureau/fleet/dev/${agent}`);
          const first = await ask(bureau, agent, "STEER it", false);
          await eventually("it works", () => Promise.resolve(play.asked.has("STEER")), 60_000);
          assert.equal(await ask(bureau, agent, "STEER gently"), "Gently.");
          const { content } = (await messages(bureau, room)).at(-1)!;
          const [one, ...more] = content["m.bureau.answers"] as string[];
          assert.deepEqual([one, more.length], [first, 1]);
        });
        await step(t, bureau, "the daemon is killed; the agent goes on", async () => {
          const daemon = (await findProcess(bureau, (line) => line.includes("/daemon.js")))!;
          Deno.kill(daemon, "SIGKILL");
          assert.equal(await ask(bureau, agent, "AFTER that"), "Still here.");
        });
        await step(
          t,
          bureau,
          "killed in the middle, it goes on with session and message",
          async () => {
            const room = await roomId(bureau, `bureau/fleet/dev/${agent}`);
            const id = await ask(bureau, agent, "HOLD on", false);
            await eventually(
              "it asks its model",
              () => Promise.resolve(play.asked.get("HOLD")?.length === 1),
              60_000,
            );
            await killDriver(bureau, name);
            assert.equal(await answerTo(bureau, room, id), "Again.");
            assert.equal(await ask(bureau, agent, "KNOW it?"), "I know.");
          },
        );
        await step(t, bureau, "a conversation that is gone begins anew", async () => {
          const file = `${dir}/home/bureau/session.json`;
          // It writes once more after its answer.
          const state = await eventually("it is done with the last message", async () => {
            const now = JSON.parse(await Deno.readTextFile(file));
            return now.given.length === 0 ? now : null;
          });
          const session_id = crypto.randomUUID();
          await Deno.writeTextFile(file, JSON.stringify({ ...state, session_id }));
          await killDriver(bureau, name);
          assert.equal(await ask(bureau, agent, "KNOW it?"), "Who?");
        });
        await step(t, bureau, "where its payload says so, people are asked first", async () => {
          const file = `${bureau.stateDir}-payload.json`;
          const model = name === "codex" ? { model: "gpt-5-codex" } : {};
          await Deno.writeTextFile(file, JSON.stringify({ enforce_permissions: true, ...model }));
          const given = await bureau.cli("agent", "payload", agent, "--file", file);
          await Deno.remove(file);
          assert.equal(given.code, 0, given.stderr);
          await killDriver(bureau, name);
          for (const [verdict, said] of [["deny", "No, then."], ["approve", "It is."]] as const) {
            const answer = ask(bureau, agent, "PUSH it");
            const { id, resource } = await eventually("it asks", async () => {
              const { pending } = await bureau.json<
                { pending: { id: string; resource: string }[] }
              >("agent", "approvals", agent);
              return pending[0] ?? null;
            }, 120_000);
            assert.match(resource, /touch pushed/);
            const decided = await bureau.cli("agent", verdict, id);
            assert.equal(decided.code, 0, decided.stderr);
            assert.equal(await answer, said);
            const isThere = await Deno.stat(`${dir}/repo/pushed`).then(() => true, () => false);
            assert.equal(isThere, verdict === "approve");
          }
        });
        await step(
          t,
          bureau,
          "on a terminal it asks nothing before its first message",
          async () => {
            await create(bureau, program, models, key, "-terminal");
            await eventually("its prompt", async () => {
              const { stdout } = await bureau.cli("observe", `${agent}-terminal`, "--dump");
              return program.prompt.test(stdout);
            }, 120_000);
            await eventually("it has nothing to do", async () => {
              const { stdout } = await bureau.cli("agent", "list");
              return new RegExp(`^${agent}-terminal +running.* idle`, "m").test(stdout);
            }, 120_000);
          },
        );
      });
    } finally {
      play.over.resolve(say("over"));
      await models.stop();
    }
  });
}
