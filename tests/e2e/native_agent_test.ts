// SPDX-License-Identifier: Apache-2.0

/**
 * Bureau's own agent in a real sandbox, its model a mock behind its proxy: it reads and edits a file, runs a command, answers in its
 * room, goes on where it was killed; the key is nowhere in the sandbox.
 */
import assert from "node:assert/strict";
import {
  call,
  queued,
  type Reply,
  say,
  startModels,
  type Turn,
} from "../../src/agent/testing/model/mod.ts";
import {
  ask,
  createAgent,
  type ModelService,
  publishTemplate,
  questionOf,
  write,
} from "./agents.ts";
import { eventually, findProcess, step, withBureau } from "./harness.ts";
import { matrix, messages, roomId } from "./matrix.ts";

const SECRET = `native-${crypto.randomUUID()}`;
const KEY = `sk-${SECRET}`;
const AGENT = "agent/native";
/** Finds the key, and is not the key: what looks for it must not be what is found. */
const PATTERN = `sk[-]${SECRET}`;
const LOOK = `grep -rlaE -D skip '${PATTERN}' /proc/[0-9]*/environ /proc/[0-9]*/cmdline ` +
  "/run /home /tmp /workspace /etc /opt/agent 2>/dev/null; echo looked";

/** An MCP server in a line of jq: one tool, `shout`. */
const MCP = String.raw`while IFS= read -r line; do printf '%s\n' "$line" | jq -c '
  def answer(result): {jsonrpc: "2.0", id: .id, result: result};
  if .method == "initialize" then
    answer({protocolVersion: .params.protocolVersion, capabilities: {tools: {}}, serverInfo: {name: "sh", version: "1"}})
  elif .method == "tools/list" then
    answer({tools: [{name: "shout", inputSchema: {type: "object", properties: {text: {type: "string"}}}}]})
  elif .method == "tools/call" then
    answer({content: [{type: "text", text: (.params.arguments.text | ascii_upcase)}]})
  else empty end'; done`;

/** A client of the server in every such sandbox: one call that it is granted, one that it is not. */
const SPEAKER = [
  { id: 1, method: "initialize", params: { protocolVersion: "2025-06-18", capabilities: {} } },
  { method: "notifications/initialized" },
  { id: 2, method: "tools/call", params: { name: "bureau_rooms_join", arguments: { room: "!x" } } },
  {
    id: 3,
    method: "tools/call",
    params: { name: "bureau_messages_send", arguments: { text: "from inside" } },
  },
].reduce((script, message) => {
  const clientInfo = { name: "sh", version: "1" };
  const params = message.id === 1 ? { ...message.params, clientInfo } : message.params;
  return `${script} '${JSON.stringify({ jsonrpc: "2.0", ...message, params })}'`;
}, "{ printf '%s\\n'") + "; sleep 200000; } | /opt/mcp/serve";

interface Sync {
  readonly rooms?: {
    readonly join?: Readonly<
      Record<string, {
        readonly ephemeral: {
          readonly events: readonly { type: string; content: { user_ids?: readonly string[] } }[];
        };
      }>
    >;
  };
}

Deno.test("Bureau's own agent works in its sandbox, without the key, and outlives being killed", async (t) => {
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
      const model: ModelService = {
        service: "anthropic",
        credential: "anthropic",
        url: `http://127.0.0.1:${models.port}`,
        key: KEY,
      };
      const template = await publishTemplate(bureau, "mocked", "agent-native", model, {
        restart_policy: "always",
      });
      const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
      const payload = {
        mcp_servers: { sh: { command: "/bin/sh", args: ["-c", MCP] } },
        nested_spawn: true,
        max_spawn_depth: 2,
      };
      await createAgent(bureau, AGENT, template, model, "--payload", JSON.stringify(payload));
      const room = await roomId(bureau, `bureau/fleet/dev/${AGENT}`);
      const send = (text: string) => write(bureau, room, text);
      const answersTo = async (id: string) =>
        (await messages(bureau, room)).filter((event) => questionOf(event) === id)
          .map(({ content }) => String(content["body"]));
      const answered = (id: string) =>
        eventually("it answers", async () => (await answersTo(id))[0], 120_000);
      const last = (ask: { toolResults: readonly string[] }): Reply => say(ask.toolResults.at(-1)!);

      await step(t, bureau, "it reads, edits, runs a command, and answers", async () => {
        script.push(
          call("read", { path: "README.md" }),
          call("edit", { path: "README.md", old: "Two lines.", new: "Two better lines." }),
          call("mcp__sh__shout", { text: "two" }),
          call("bash", { command: "git diff --stat; cat README.md; touch /opt/agent/x" }),
          last,
        );
        const said = await answered(await send("make it better"));
        assert.match(said, /README\.md \| 2 \+-[^]*Two better lines\.[^]*Read-only file system/);
        assert.match(models.asks[0]!.lastText, /^@\S+: make it better$/);
        assert.match(models.asks[1]!.toolResults[0]!, /Two lines\./);
        assert.equal(
          await Deno.readTextFile(`${bureau.repo}/README.md`),
          "# Example\n\nTwo lines.\n",
        );
        await eventually("it is idle", async () => {
          const { stdout } = await bureau.cli("agent", "show", AGENT);
          return /idle/.test(stdout);
        });
      });

      await step(t, bureau, "it has what its proxy does for it, as its grants say", async () => {
        script.push(
          call("bureau_whoami", {}),
          call("bureau_messages_send", { text: "by the way", notice: true }),
          last,
        );
        const said = JSON.parse(await answered(await send("who are you?")));
        assert.equal(said.room, room);
        const sent = (await messages(bureau, room)).find((one) => one.event_id === said.event_id);
        assert.equal(sent?.content["body"], "by the way");
        const told = JSON.stringify(models.asks.at(-1)!.body);
        assert.ok(told.includes("bureau_messages_read") && !told.includes("bureau_rooms_join"));
      });

      await step(t, bureau, "a program in a sandbox has the same by MCP", async () => {
        await matrix(bureau, `rooms/${templates}/state/m.bureau.template/speaker`, {
          method: "PUT",
          body: {
            description: "Speaks MCP by a shell",
            inherits: ["bureau/template:agent-shell"],
            command: ["/bin/sh", "-c", SPEAKER],
            filesystem: [{ source: "${AGENTS_DIR}/mcp", dest: "/opt/mcp", mode: "ro" }],
          },
        });
        await cli("agent", "create", "agent/speaker", "--template", "bureau/template:speaker");
        const its = await roomId(bureau, "bureau/fleet/dev/agent/speaker");
        await eventually("it writes", async () => {
          const all = (await messages(bureau, its)).map(({ content }) => content["body"]);
          return all.includes("from inside");
        }, 120_000);
        await eventually("it is told that it may not join", async () => {
          const { stdout } = await bureau.cli("observe", "agent/speaker", "--dump");
          return stdout.replace(/\n/g, "").includes("Unknown tool: bureau_rooms_join");
        }, 120_000);
      });

      await step(t, bureau, "the key is with its proxy alone", async () => {
        script.push(call("bash", { command: LOOK }), last);
        assert.equal(await answered(await send("look for it")), "looked");
        const plant = `printf 'sk-%s' ${SECRET} >/tmp/planted; ${LOOK}`;
        script.push(call("bash", { command: plant }), call("bash", { command: "rm /tmp/planted" }));
        script.push((ask) => say(ask.toolResults.at(-2)!));
        assert.match(await answered(await send("plant it")), /^\/tmp\/planted$/m);
        assert.equal(models.strangers(), 0);
        for (const { headers, body } of models.requests) {
          assert.equal(headers.get("x-api-key"), KEY);
          assert.equal(headers.get("authorization"), null);
          assert.ok(!body.includes(KEY));
        }
      });

      await step(
        t,
        bureau,
        "while it works others see it, and it hears what they say",
        async () => {
          const { sender: me } = (await messages(bureau, room)).at(-1)!;
          const types = async () => {
            const filter = JSON.stringify({ room: { rooms: [room], timeline: { limit: 0 } } });
            const { rooms } = await matrix<Sync>(
              bureau,
              `sync?filter=${encodeURIComponent(filter)}`,
            );
            return rooms?.join?.[room]?.ephemeral.events
              .some(({ type, content }) => type === "m.typing" && content.user_ids?.includes(me));
          };
          const presence = () =>
            matrix<{ presence: string; status_msg?: string }>(
              bureau,
              `presence/${encodeURIComponent(me)}/status`,
            );
          await eventually("it has nothing to do", async () => !await types());
          // It works until it hears.
          const turn: Turn = ({ lastText }) => {
            if (/gently$/.test(lastText)) return say("I do it gently.");
            script.unshift(turn);
            return call("bash", { command: "sleep 0.2" });
          };
          script.push(turn);
          const first = await send("do it");
          await eventually("it types", types);
          await eventually("it tells what it is at", async () => {
            const { presence: is, status_msg } = await presence();
            return is === "online" && status_msg === "tool: bash";
          });
          const second = await send("gently");
          assert.equal(await answered(second), "I do it gently.");
          assert.deepEqual(await answersTo(first), []);
          const { content } = (await messages(bureau, room)).at(-1)!;
          assert.deepEqual(content["m.bureau.answers"], [first, second]);
          await eventually("it types no more", async () => !await types());
          await eventually("it is idle", async () => (await presence()).presence === "unavailable");
        },
      );

      await step(
        t,
        bureau,
        "its workers work beside it, two levels deep, and stop with it",
        async () => {
          const deeper = (assignment: string): Turn => ({ tools }) => {
            assert.ok(tools.includes("spawn_worker") && tools.includes("mcp__sh__shout"));
            return call("spawn_worker", { assignment });
          };
          script.push(
            deeper("ask"),
            deeper("look"),
            ({ tools, lastText }) => {
              assert.ok(!tools.includes("spawn_worker"));
              return call("bash", { command: `echo ${lastText}; cd /workspace && ls; ${LOOK}` });
            },
            last,
            last,
            last,
          );
          assert.match(
            await answered(await send("have it done")),
            /^look\nREADME\.md\n[^]*looked$/,
          );
          const isWorker = (line: string) => /\/opt\/bureau\/worker\.js/.test(line);
          const gone = () =>
            eventually("they are gone", async () => await findProcess(bureau, isWorker) === null);
          await gone();
          script.push(deeper("ask"), deeper("sleep"), call("bash", { command: "sleep 300000" }));
          const id = await send("have it wait");
          const sleeps = (line: string) => line.includes("300000");
          await eventually("it sleeps", () => findProcess(bureau, sleeps));
          await send("!stop");
          assert.equal(await answered(id), "Stopped.");
          await gone();
          assert.equal(await findProcess(bureau, sleeps), null);
        },
      );

      await step(
        t,
        bureau,
        "killed in the middle of a command it goes on, and answers once",
        async () => {
          script.push(call("bash", { command: "touch /workspace/begun; sleep 100000" }));
          const id = await send("sleep");
          await eventually(
            "it sleeps",
            () => findProcess(bureau, (line) => line.includes("100000")),
          );
          const isAgent = (line: string) => /^\/opt\/bureau\/deno run .*native\.js/.test(line);
          script.push(({ toolResults }) => say(`again: ${toolResults.at(-1)}`));
          Deno.kill((await findProcess(bureau, isAgent))!, "SIGKILL");
          assert.match(await answered(id), /^again: .*I was restarted meanwhile/);
          script.push(({ lastText }) => say(`after: ${lastText}`));
          const next = await send("and now?");
          assert.match(await answered(next), /^after: .*and now\?$/);
          assert.deepEqual([(await answersTo(id)).length, (await answersTo(next)).length], [1, 1]);
          assert.equal(await findProcess(bureau, (line) => line.includes("100000")), null);
        },
      );

      await step(
        t,
        bureau,
        "where its template says so it writes nothing, by any tool",
        async () => {
          const path = `rooms/${templates}/state/m.bureau.template/reader`;
          const workspace = { source: "${WORKSPACE}", dest: "/workspace", mode: "ro" };
          const inherits = ["bureau/template:mocked"];
          const body = { description: "Only reads", inherits, filesystem: [workspace] };
          await matrix(bureau, path, { method: "PUT", body });
          await createAgent(
            ...[bureau, "agent/reader", "bureau/template:reader"] as const,
            model,
            ...["--payload", JSON.stringify({ progress: "thread" })],
          );
          script.push(
            call("read", { path: "README.md" }),
            call("write", { path: "/workspace/x", content: "x" }),
            call("write", { path: "/usr/local/x", content: "x" }),
            call("bash", {
              command: "touch README.md; touch /home/agent/x /tmp/x && echo its own",
            }),
            ({ toolResults }) => say(toolResults.join("\n")),
          );
          const said = await ask(bureau, "agent/reader", "try it");
          const refused = "[^]*Read-only file system".repeat(3);
          assert.match(said, new RegExp(`Two lines\\.${refused}[^]*its own$`));
          const its = await roomId(bureau, "bureau/fleet/dev/agent/reader");
          const { event_id: question } = (await messages(bureau, its))[0]!;
          await eventually(
            "what it did stands below the question",
            async () =>
              (await messages(bureau, its)).some(({ content }) => {
                const relation = content["m.relates_to"] as Record<string, unknown> | undefined;
                return relation?.["rel_type"] === "m.thread" && relation["event_id"] === question &&
                  /▸ write .*workspace/.test(String(content["body"]));
              }),
          );
        },
      );
    });
  } finally {
    await models.stop();
  }
});
