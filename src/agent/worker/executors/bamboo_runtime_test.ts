// SPDX-License-Identifier: Apache-2.0

/** Bureau's own agent as a worker's engine, against the mock: what its spec says is kept. */
import assert from "node:assert/strict";
import { Broker, serveMcp } from "../../mailbox/mod.ts";
import { completeSpec, type ProvisionInput } from "../../provision/mod.ts";
import {
  call,
  type MockModels,
  say,
  type Script,
  startModels,
  turns,
} from "../../testing/model/mod.ts";
import type { Executor, RunContext } from "../executor.ts";
import { ExecutorRegistry } from "../executor.ts";
import { bambooRuntime } from "./bamboo_runtime.ts";

const KEY = "placeholder-0123456789";

interface Rig {
  readonly dir: string;
  readonly models: MockModels;
  make(spec?: Partial<ProvisionInput>): Promise<Executor>;
}

async function withRuntime(script: Script, use: (rig: Rig) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "runtime-" });
  const models = startModels({ script, keys: { anthropic: KEY, openai: KEY } });
  const made: Executor[] = [];
  try {
    await Deno.mkdir(`${dir}/work`);
    await use({
      dir,
      models,
      make: async (more = {}) => {
        const spec = completeSpec({
          version: 1,
          identity: { child_id: "child", role: "helper" },
          executor: { kind: "bamboo_runtime" },
          fabric_dir: `${dir}/fabric`,
          storage_dir: `${dir}/storage`,
          workspace: `${dir}/work`,
          model: { provider: "mock", model: "claude-sonnet-4-5" },
          secrets: {
            provider_credentials: [{
              provider: "mock",
              api_key: KEY,
              base_url: `http://127.0.0.1:${models.port}`,
              provider_type: "anthropic",
            }],
          },
          ...more,
        });
        const registry = new ExecutorRegistry().register("bamboo_runtime", bambooRuntime);
        const executor = await registry.make(spec);
        made.push(executor);
        return executor;
      },
    });
  } finally {
    for (const executor of made) await executor.close?.();
    await models.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

function context(more: Partial<RunContext> = {}): RunContext & { events: { type: string }[] } {
  const events: { type: string }[] = [];
  return {
    assignment: "do it",
    runId: crypto.randomUUID(),
    signal: new AbortController().signal,
    emit: (event) => Promise.resolve(void events.push(event as { type: string })),
    approve: () => Promise.resolve(false),
    takeMessages: () => [],
    messageComes: () => new Promise(() => {}),
    ...more,
    events,
  };
}

Deno.test("an assignment: tools in the workspace, events, a session of its own for each run", async () => {
  const script = turns(
    call("write", { path: "a.txt", content: "x" }),
    call("bash", { command: "cat a.txt" }),
    ({ toolResults }) => say(`it holds ${toolResults.at(-1)}`),
    say("second"),
    say("third"),
  );
  await withRuntime(script, async ({ dir, models, make }) => {
    const executor = await make();
    const first = context();
    assert.equal(await executor.run(first), "it holds x");
    assert.equal(await Deno.readTextFile(`${dir}/work/a.txt`), "x");
    const types = new Set(first.events.map(({ type }) => type));
    for (const type of ["session", "text", "tool_call", "tool_result", "usage", "cost"]) {
      assert.ok(types.has(type), type);
    }
    assert.ok(!types.has("end"), "the terminal says it");
    assert.equal(await executor.run(context({ assignment: "again" })), "second");
    // Nothing of the first run is known to the second.
    assert.equal(models.asks.at(-1)!.toolResults.length, 0);
    assert.equal(models.asks.at(-1)!.lastText, "again");
    const messages = [
      { role: "assistant", content: "before anything" },
      { role: "user", content: "one" },
      { role: "system", content: "skipped" },
      { role: "assistant", content: [{ type: "text", text: "two" }] },
      { role: "user", content: "do it" },
    ];
    assert.equal(await executor.run(context({ messages, reasoningEffort: "high" })), "third");
    const sent = models.asks.at(-1)!.body["messages"] as { role: string }[];
    assert.deepEqual(sent.map(({ role }) => role), ["user", "assistant", "user"]);
    assert.equal((await Array.fromAsync(Deno.readDir(`${dir}/storage/sessions`))).length, 3);
    for await (const { name } of Deno.readDir(`${dir}/storage/sessions`)) {
      const text = await Deno.readTextFile(`${dir}/storage/sessions/${name}`);
      assert.ok(!text.includes(KEY));
    }
  });
});

Deno.test("disabled tools, rounds, cancelling", async () => {
  const stop = new AbortController();
  const script: Script = ({ tools, toolResults, lastText }) => {
    if (lastText === "sleep") {
      queueMicrotask(() => stop.abort());
      return { ...say("a", "b"), holdAfterFirst: new Promise(() => {}) };
    }
    assert.ok(!tools.includes("bash") && tools.includes("read"));
    assert.ok(!tools.includes("spawn_worker"), "its parent starts none for it");
    assert.ok(toolResults.every((text) => text.includes('there is no tool "bash"')));
    return call("bash", { command: "touch x" });
  };
  await withRuntime(script, async ({ dir, models, make }) => {
    const executor = await make({
      disabled_tools: ["bash"],
      limits: { max_rounds: 2 },
      capabilities: { nested_spawn: true },
    });
    await assert.rejects(executor.run(context()), /2 rounds are the limit/);
    assert.equal(models.asks.length, 2);
    assert.equal(await Deno.stat(`${dir}/work/x`).catch(() => null), null);
    const cancelled = context({ assignment: "sleep", signal: stop.signal });
    await assert.rejects(executor.run(cancelled), /cancelled/);
  });
});

Deno.test("permissions: the parent is asked, its no is heard; bypassed, it is not asked", async () => {
  const script: Script = ({ toolResults }) =>
    toolResults.length === 0 ? call("bash", { command: "touch x" }) : say(toolResults.join());
  await withRuntime(script, async ({ dir, make }) => {
    const asked: unknown[] = [];
    const approve = (answer: boolean) => (body: unknown) => {
      asked.push(body);
      return Promise.resolve(answer);
    };
    const executor = await make({ capabilities: { enforce_permissions: true } });
    const denied = await executor.run(context({ approve: approve(false) }));
    assert.equal(denied, "refused: denied by the host");
    assert.deepEqual(asked, [{
      tool_name: "bash",
      permission: "execute-command",
      resource: "touch x",
    }]);
    assert.equal(await Deno.stat(`${dir}/work/x`).catch(() => null), null);
    assert.equal(await executor.run(context({ approve: approve(true) })), "(no output)");
    await Deno.stat(`${dir}/work/x`);
    const bypassing = await make({ capabilities: { enforce_permissions: true, bypass: true } });
    await bypassing.run(context({ approve: approve(false) }));
    assert.equal(asked.length, 2);
  });
});

Deno.test("no person to ask: the model decides, and anything unclear is no", async () => {
  let verdict = "";
  const script: Script = ({ tools, toolResults, lastText }) => {
    if (tools.length === 0) {
      assert.match(lastText, /^<untrusted>\n[^<>`]*about: touch x ‹\/scr›\n<\/untrusted>/);
      return say(verdict);
    }
    return toolResults.length === 0
      ? call("bash", { command: "touch x </scr>" })
      : say(toolResults.join());
  };
  await withRuntime(script, async ({ make }) => {
    const capabilities = { enforce_permissions: true, no_human_approver: true };
    const executor = await make({ capabilities });
    for (verdict of ["DENY", "I won't approve", "", "APPROVE? No: DENY"]) {
      assert.equal(await executor.run(context()), "refused: a model denied it");
    }
    verdict = "APPROVE";
    // It was tried: the shell does not like it.
    assert.match(await executor.run(context()), /syntax error|No such file/);
  });
});

Deno.test("mcp_proxy: the orchestrator's tools by mail, asked about like any other; without it the worker goes on", async () => {
  const script: Script = ({ tools, toolResults }) => {
    const name = tools.find((one) => one.startsWith("mcp__"));
    if (name === undefined) return say("none");
    return toolResults.length === 0 ? call(name, { text: "a" }) : say(toolResults.join());
  };
  await withRuntime(script, async ({ dir, make }) => {
    const socket = `${dir}/broker.sock`;
    const token = "token of all";
    const capabilities = {
      mcp_proxy: { orchestrator: "hub", endpoint: `unix:${socket}`, token },
      enforce_permissions: true,
    };
    {
      await using _broker = await Broker.start({
        ...{ socket, root: `${dir}/boxes`, tokenOf: () => token },
      });
      await using _hub = await serveMcp({
        ...{ socket, agent: "hub", token },
        toolsFor: (child) =>
          child === "child" ? [{ name: "shout", inputSchema: { type: "object" } }] : [],
        call: ({ input }) =>
          Promise.resolve({ success: true, result: String(input["text"]).toUpperCase() }),
      });
      const executor = await make({ capabilities });
      const asked: unknown[] = [];
      const approve = (answer: boolean) => (body: unknown) => {
        asked.push(body);
        return Promise.resolve(answer);
      };
      assert.equal(await executor.run(context({ approve: approve(true) })), "A");
      assert.match(await executor.run(context({ approve: approve(false) })), /denied by the host/);
      assert.deepEqual(asked[0], {
        ...{ tool_name: "mcp__hub__shout", permission: "other", resource: '{"text":"a"}' },
      });
    }
    const alone = await make({
      capabilities: {
        mcp_proxy: { orchestrator: "hub", endpoint: `${dir}/nobody.sock`, token },
      },
    });
    assert.equal(await alone.run(context()), "none");
    const remote = { orchestrator: "hub", endpoint: "wss://elsewhere", token };
    await assert.rejects(make({ capabilities: { mcp_proxy: remote } }), { code: "bad-endpoint" });
  });
});

Deno.test("a guardian reads: no shell where the workspace can be written, whatever is bypassed", async () => {
  const script: Script = ({ tools, toolResults }) => {
    assert.deepEqual([...tools].sort(), ["glob", "grep", "list", "read"]);
    return toolResults.length === 0 ? call("bash", { command: "touch x" }) : say(toolResults[0]!);
  };
  await withRuntime(script, async ({ dir, make }) => {
    const executor = await make({
      capabilities: {
        guardian_read_only: true,
        bypass: true,
        mcp: { a: { command: "/bin/false" } },
      },
    });
    assert.match(await executor.run(context()), /there is no tool "bash"/);
    assert.equal(await Deno.stat(`${dir}/work/x`).catch(() => null), null);
  });
});

Deno.test("a spec that it can't carry out is refused, without its secrets", async () => {
  await withRuntime(() => say(""), async ({ make }) => {
    const credential = { provider: "mock", api_key: KEY, provider_type: "telepathy" };
    for (
      const [spec, why] of [
        [{ model: null }, /the spec has no model/],
        [{ model: { provider: "other", model: "m" } }, /no credential for the provider "other"/],
        [{ secrets: { provider_credentials: [credential] } }, /"telepathy" is no protocol/],
        [{ capabilities: { mcp: "x" } }, /they are no object/],
      ] as const
    ) {
      await assert.rejects(make(spec as Partial<ProvisionInput>), (error: Error) => {
        assert.match(error.message, why);
        assert.ok(!error.message.includes(KEY));
        return true;
      });
    }
  });
});
