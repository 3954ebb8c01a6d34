// SPDX-License-Identifier: Apache-2.0

/**
 * The agent service in its sandbox, with agents that tell it what they do: sessions, context and metrics, whoever is
 * killed in between; nobody reads another's without a grant.
 */
import assert from "node:assert/strict";
import { call, queued, say, startModels, type Turn } from "../../src/agent/testing/model/mod.ts";
import { createClient, HttpApiError } from "../../src/lib/http/mod.ts";
import { principalHash } from "../../src/lib/ref/mod.ts";
import { EventType } from "../../src/lib/schema/mod.ts";
import {
  agentServiceApi,
  type Commit,
  type MetricsAnswer,
  type Session,
} from "../../src/services/agent/api.ts";
import { type Bureau, eventually, findProcess, step, withBureau } from "../e2e/harness.ts";
import { matrix, messages, roomId } from "../e2e/matrix.ts";

const FLEET = "bureau/fleet/dev";
const KEY = `sk-${crypto.randomUUID()}`;
const WAIT = 120_000;

interface Sessions {
  readonly active: Session | null;
  readonly sessions: readonly Session[];
}

async function kill(bureau: Bureau, program: string): Promise<void> {
  const isIt = (line: string) => line.startsWith("/opt/bureau/deno run") && line.includes(program);
  const pid = await findProcess(bureau, isIt);
  if (pid === null) throw new Error(`${program} does not run`);
  Deno.kill(pid, "SIGKILL");
}

Deno.test("the agent service keeps what agents do, through every kill, and from each other", async (t) => {
  const script: Turn[] = [];
  const models = startModels({
    script: queued(script),
    keys: { anthropic: KEY, openai: KEY },
  });
  try {
    await withBureau(async (bureau) => {
      const cli = async (...args: string[]) => {
        const done = await bureau.cli(...args);
        assert.equal(done.code, 0, done.stderr + done.stdout);
        return done.stdout;
      };
      const up = await bureau.up("--detach", "--no-agent");
      assert.equal(up.code, 0, up.stderr);
      const server = bureau.homeserver.serverName;
      const ONE = `@${FLEET}/agent/one:${server}`;
      const SERVICE = `@${FLEET}/service/agent:${server}`;
      const host = `127.0.0.1:${models.port}`;
      const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
      await matrix(bureau, `rooms/${templates}/state/m.bureau.template/mocked`, {
        method: "PUT",
        body: {
          inherits: ["bureau/template:agent-native"],
          proxy_services: {
            anthropic: { upstream: `http://${host}`, inject_headers: { "X-Api-Key": "anthropic" } },
          },
          egress: { allow: [host] },
          restart_policy: "always",
        },
      });
      const credentials = `${bureau.stateDir}-credentials.json`;
      const create = (name: string) =>
        cli(
          ...["agent", "create", `agent/${name}`, "--template", "bureau/template:mocked"],
          ...["--repo", bureau.repo, "--credentials", credentials],
        );
      await Deno.writeTextFile(
        credentials,
        JSON.stringify({ anthropic: { value: KEY, allowed_hosts: [host] } }),
        { mode: 0o600 },
      );
      try {
        await create("one");
        await create("two");
      } finally {
        await Deno.remove(credentials);
      }
      const room = await roomId(bureau, `${FLEET}/agent/one`);
      let count = 0;
      const ask = async (text: string) => {
        const path = `rooms/${encodeURIComponent(room)}/send/m.room.message/e2e-${++count}`;
        const body = { msgtype: "m.text", body: text };
        return (await matrix<{ event_id: string }>(bureau, path, { method: "PUT", body })).event_id;
      };
      const answered = (id: string) =>
        eventually("it answers", async () =>
          (await messages(bureau, room)).find(({ content }) => {
            const relation = content["m.relates_to"] as
              | { "m.in_reply_to"?: { event_id: string } }
              | undefined;
            return relation?.["m.in_reply_to"]?.event_id === id;
          }), WAIT);
      const sessions = () => bureau.json<Sessions>("agent", "session", "one");
      const metrics = async () =>
        (await bureau.json<{ sessions: MetricsAnswer }>("agent", "metrics", "one")).sessions;
      const turns = (wanted: number) =>
        eventually(`${wanted} turns are counted`, async () => {
          const { total } = await metrics();
          return total.turns === wanted ? total : null;
        }, WAIT);

      await step(t, bureau, "where nobody fills the role, an agent does without", async () => {
        script.push(say("alone"));
        await answered(await ask("first"));
        const none = await bureau.cli("agent", "session", "one");
        assert.equal(none.code, 5, none.stderr);
        assert.match(none.stderr, /none fills its role[^]*template:agent-service --role agent/);
        assert.equal(await metrics(), null);
      });

      await cli(
        ...["service", "create", "agent", "--template", "bureau/template:agent-service"],
        ...["--role", "agent"],
      );
      const tokenOf = async (name: string) =>
        `${bureau.runDir}/p/${await principalHash(`${FLEET}/agent/${name}`)}/service`;
      const isThere = (path: string) => Deno.stat(path).then(() => true, () => false);
      for (const name of ["one", "two"]) {
        const dir = await tokenOf(name);
        await eventually("it has a token", () => isThere(`${dir}/token/agent.token`), WAIT);
      }

      await step(
        t,
        bureau,
        "from then on what it does is kept: log, metrics, context",
        async () => {
          script.push(call("bash", { command: "echo from the shell" }), say("done so far"));
          await answered(await ask("second"));
          const total = await turns(1);
          assert.equal(total.tool_calls, 1);
          assert.ok(total.input_tokens > 0 && total.output_tokens > 0);
          const { active } = await sessions();
          assert.equal(active?.program, "native");
          const log = (await cli("agent", "session", "one", "--log")).trimEnd().split("\n")
            .map((line) => JSON.parse(line));
          assert.deepEqual(log.filter(({ type }) => type === "end").length, 1);
          assert.ok(log.some(({ output }) => /from the shell/.test(output ?? "")));
          const { commits } = await eventually("it is committed", async () => {
            const found = await bureau.json<{ commits: Commit[] }>(
              "agent",
              "context",
              "list",
              "one",
            );
            return found.commits.length > 0 ? found : null;
          }, WAIT);
          assert.equal(commits[0]!.summary, "done so far");
          const context = await cli("agent", "context", "materialise", "one");
          // Also what it did before there was anybody to tell.
          for (const said of ["first", "alone", "second", "from the shell", "done so far"]) {
            assert.ok(context.includes(said), said);
          }
          assert.match(await cli("agent", "metrics", "one"), /^sessions +1: 1 turns/m);
        },
      );

      await step(
        t,
        bureau,
        "the service is killed in the middle of a turn: nothing is missing, nothing twice",
        async () => {
          script.push(
            call("bash", {
              command:
                "touch /workspace/asleep; while [ -e /workspace/asleep ]; do sleep 0.1; done",
            }),
            say("awake"),
          );
          const config = encodeURIComponent(await configRoom(bureau));
          const assignment = await matrix<{ variables: { WORKSPACE: string } }>(
            bureau,
            `rooms/${config}/state/${EventType.assignment}/${encodeURIComponent(ONE.slice(1))}`,
          );
          const { WORKSPACE } = assignment.variables;
          const id = await ask("third");
          await eventually("it works", () => isThere(`${WORKSPACE}/asleep`), WAIT);
          await kill(bureau, "agent_service.js");
          await Deno.remove(`${WORKSPACE}/asleep`);
          await answered(id);
          assert.equal((await turns(2)).tool_calls, 2);
          const log = (await cli("agent", "session", "one", "--log")).trimEnd().split("\n")
            .map((line) => JSON.parse(line).type);
          assert.equal(log.filter((type) => type === "end").length, 2);
          assert.equal(log.filter((type) => type === "tool_call").length, 2);
        },
      );

      await step(t, bureau, "the agent is killed: it goes on in the same session", async () => {
        const before = (await sessions()).active!.session_id;
        await kill(bureau, "native.js");
        script.push(say("still here"));
        await answered(await ask("fourth"));
        await turns(3);
        const { active, sessions: all } = await sessions();
        assert.deepEqual([active?.session_id, all.length], [before, 1]);
        const context = await eventually("its context goes on", async () => {
          const text = await cli("agent", "context", "materialise", "one");
          return text.includes("still here") ? text : null;
        }, WAIT);
        assert.ok(context.includes("from the shell"));
      });

      await step(t, bureau, "another agent is refused, and with a grant it is not", async () => {
        const dir = await tokenOf("two");
        const two = createClient(agentServiceApi, {
          socket: `${dir}/agent.sock`,
          token: () => Deno.readTextFile(`${dir}/token/agent.token`),
        });
        const { tip } = await bureau.json<{ tip: string }>("agent", "context", "list", "one");
        const read = async () =>
          await new Response(
            await two.stream("materialise", { params: { agent: ONE, commit: tip } }),
          ).text();
        try {
          // Its own is free.
          await two.call("sessions", { params: { agent: "me" } });
          await assert.rejects(
            read(),
            (thrown) => thrown instanceof HttpApiError && thrown.code === "not-granted",
          );
          await cli("auth", "grant", "agent/two", "service/agent/read", "--target", ONE.slice(1));
          const text = await eventually("it may read", async () => await read(), WAIT);
          assert.ok(text.includes("from the shell"));
          // To read is not to write.
          await assert.rejects(
            two.call("summarise", {
              params: { agent: ONE, commit: tip },
              body: { summary: "mine" },
            }),
            (thrown) => thrown instanceof HttpApiError && thrown.code === "not-granted",
          );
        } finally {
          two.close();
        }
      });

      await step(t, bureau, "its room is told, by itself alone", async () => {
        const home = encodeURIComponent(await roomId(bureau, `${FLEET}/service/agent`));
        const told = await eventually("it is told", async () => {
          const events = await matrix<{ type: string; sender: string; content: never }[]>(
            bureau,
            `rooms/${home}/state`,
          );
          const found = (type: string) => events.find((event) => event.type === type);
          const session = found(EventType.agentSession);
          const taken = found(EventType.agentMetrics);
          return taken !== undefined && taken.content["turns"] === 3 ? { session, taken } : null;
        }, WAIT);
        assert.equal(told.session!.sender, SERVICE);
        assert.equal(told.session!.content["service"], SERVICE);
        assert.equal(told.session!.content["agent"], ONE);
      });
    });
  } finally {
    await models.stop();
  }
});

async function configRoom(bureau: Bureau): Promise<string> {
  const session = JSON.parse(await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`));
  return await roomId(bureau, session.machine);
}
