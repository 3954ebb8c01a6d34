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
import type { Session } from "../../src/services/agent/api.ts";
import { skip } from "../../src/lib/testing/skip.ts";
import { ask, createAgent, type ModelService, publishTemplate, write } from "../e2e/agents.ts";
import { type Bureau, eventually, step, withBureau } from "../e2e/harness.ts";
import { messages, roomId } from "../e2e/matrix.ts";
import { scanDirectories } from "../interop/scan.ts";
import { call, Play, type Turns } from "../live/play.ts";
import { CLAUDE, CODEX, type Program } from "../live/programs.ts";
import {
  goesOnWhereItWasKilled,
  killDriver,
  outlivesTheDaemon,
  readsAndEdits,
  type Scene,
  sceneOf,
} from "../live/scenarios.ts";

interface Terminal {
  /** Where a person writes. */
  readonly prompt: RegExp;
  /** Of the MCP server `bureau`. */
  readonly tool: (name: string) => Pick<ToolCall, "name" | "namespace">;
}

const TERMINALS: readonly (readonly [Program, Terminal])[] = [
  [CLAUDE, {
    prompt: /^❯[^]*bypass permissions on/m,
    tool: (name) => ({ name: `mcp__bureau__${name}` }),
  }],
  [CODEX, {
    prompt: /^› Ask Codex/m,
    tool: (name) => ({ namespace: "mcp__bureau", name }),
  }],
];

/** Goes on until it has heard what it waits for. */
const untilTold = ({ tools }: Program): Turn => (ask) =>
  JSON.stringify(ask.body).includes("STEER gently")
    ? say("Gently.")
    : call(tools.shell("sleep 0.2"));

function turnsOf(program: Program, { tool }: Terminal): Turns {
  const { tools } = program;
  const sends: Reply = {
    kind: "say",
    tools: [{
      ...tool(`bureau_http_${program.provider}`),
      input: { path: "/none", method: "DELETE" },
    }],
  };
  const sent = (ask: Ask) =>
    say(/"status":404/.test(ask.toolResults.at(-1) ?? "") ? "Sent." : "No.");
  return {
    STEER: Array<Turn>(1_000).fill(untilTold(program)),
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
          ...tool("bureau_messages_send"),
          input: { text: "By MCP.", notice: true },
        }],
      },
      (ask) => say(/"event_id"/.test(ask.toolResults.at(-1) ?? "") ? "Told." : "No tool."),
    ],
    SEND: [sends, sent, sends, sent],
    BUSY: [fail(429, "rate_limit_error", "too many", 0), say("At last.")],
    DROP: [{ kind: "say", text: ["It begins", " and goes on"], dropAfter: 4 }, say("Whole.")],
    PUSH: [
      ...[call(tools.shell("touch pushed")), say("No, then.")],
      ...[call(tools.shell("touch pushed")), say("It is.")],
    ],
  };
}

/** @param kind what stands behind the program's name in that of the template */
async function create(
  bureau: Bureau,
  program: Program,
  models: MockModels,
  key: string,
  kind = "",
): Promise<void> {
  const model: ModelService = {
    service: program.provider,
    credential: program.credential,
    url: `http://127.0.0.1:${models.port}${program.path}`,
    key,
  };
  const name = `${program.name}${kind}`;
  const template = await publishTemplate(bureau, name, `${program.template}${kind}`, model);
  const payload = ["--payload", JSON.stringify(program.payload)];
  await createAgent(bureau, name, template, model, ...payload);
}

for (const [program, terminal] of TERMINALS) {
  const { name } = program;
  Deno.test(`${name}, the real one, is an agent like any other`, async (t) => {
    const key = `sk-${crypto.randomUUID()}`;
    const play = new Play(program, turnsOf(program, terminal));
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
        const keeper = await bureau.cli(
          ...["service", "create", "agent", "--template", "bureau/template:agent-service"],
          ...["--role", "agent"],
        );
        assert.equal(keeper.code, 0, keeper.stderr);
        await create(bureau, program, models, key);
        const scene: Scene = await sceneOf(bureau, program);
        const { agent, dir } = scene;

        await step(
          t,
          bureau,
          "it reads and edits a file, runs a command and answers",
          () => readsAndEdits(scene),
        );
        await step(t, bureau, "it has what its proxy does for it by MCP", async () => {
          assert.equal(await ask(bureau, agent, "TELL it"), "Told.");
          assert.equal(await ask(bureau, agent, "SEND it"), "Sent.");
          const room = await roomId(bureau, `bureau/fleet/dev/${agent}`);
          const said = (await messages(bureau, room)).map(({ content }) => content["body"]);
          assert.ok(said.includes("By MCP."));
        });
        await step(t, bureau, "its session is kept, and what it said", async () => {
          await eventually("it is told", async () => {
            const { active } = await bureau.json<{ active: Session | null }>(
              ...["agent", "session", agent],
            );
            return active?.program === name && active.metrics.turns >= 1;
          }, 60_000);
          await eventually("it is committed", async () => {
            const { stdout } = await bureau.cli("agent", "context", "materialise", agent);
            return stdout.includes('"Told."');
          }, 60_000);
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
          const first = await write(bureau, room, "STEER it");
          await eventually("it works", () => Promise.resolve(play.asked.has("STEER")), 60_000);
          assert.equal(await ask(bureau, agent, "STEER gently"), "Gently.");
          const { content } = (await messages(bureau, room)).at(-1)!;
          const [one, ...more] = content["m.bureau.answers"] as string[];
          assert.deepEqual([one, more.length], [first, 1]);
        });
        await step(
          t,
          bureau,
          "the daemon is killed; the agent goes on",
          () => outlivesTheDaemon(scene),
        );
        await step(
          t,
          bureau,
          "killed in the middle, it goes on with session and message",
          () =>
            goesOnWhereItWasKilled(
              scene,
              () => Promise.resolve(play.asked.get("HOLD")?.length === 1),
            ),
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
          await killDriver(scene);
          assert.equal(await ask(bureau, agent, "KNOW it?"), "Who?");
        });
        await step(t, bureau, "where its payload says so, people are asked first", async () => {
          const file = `${bureau.stateDir}-payload.json`;
          const payload = { ...program.payload, enforce_permissions: true };
          await Deno.writeTextFile(file, JSON.stringify(payload));
          const given = await bureau.cli("agent", "payload", agent, "--file", file);
          await Deno.remove(file);
          assert.equal(given.code, 0, given.stderr);
          await killDriver(scene);
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
          const sent = ask(bureau, agent, "SEND it");
          const { id, tool, resource } = await eventually("it asks about a service", async () => {
            const { pending } = await bureau.json<
              { pending: { id: string; tool: string; resource: string }[] }
            >("agent", "approvals", agent);
            return pending[0] ?? null;
          }, 120_000);
          assert.equal(tool, `mcp__bureau__bureau_http_${program.provider}`);
          assert.match(resource, /DELETE/);
          const allowed = await bureau.cli("agent", "approve", id);
          assert.equal(allowed.code, 0, allowed.stderr);
          assert.equal(await sent, "Sent.");
        });
        await step(
          t,
          bureau,
          "on a terminal it asks nothing before its first message",
          async () => {
            await create(bureau, program, models, key, "-terminal");
            await eventually("its prompt", async () => {
              const { stdout } = await bureau.cli("observe", `${agent}-terminal`, "--dump");
              return terminal.prompt.test(stdout);
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
