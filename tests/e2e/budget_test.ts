// SPDX-License-Identifier: Apache-2.0

/** A budget for a model: what was spent is known to the next daemon, and ends where the cap is. */
import assert from "node:assert/strict";
import { startModels } from "../../src/agent/testing/model/mod.ts";
import { eventually, step, withBureau } from "./harness.ts";
import { matrix, messages, roomId } from "./matrix.ts";

const KEY = "model-key-0123456789abcdef";
const AGENT = "agent/spender";

interface Metrics {
  readonly proxy: { readonly requests: number } | null;
  readonly windows: { window: string; taken: { input: number; output: number } }[];
  readonly models: { model: string; requests: number; output: number }[];
}

Deno.test("a model's budget holds over the death of the daemon, and is told", async (t) => {
  const models = startModels({
    script: () => ({ kind: "say", text: ["words"], usage: { input: 100, output: 40 } }),
    keys: { anthropic: KEY, openai: KEY },
  });
  try {
    await withBureau(async (bureau) => {
      const cli = async (...args: string[]) => {
        const done = await bureau.cli(...args);
        assert.equal(done.code, 0, done.stderr + done.stdout);
        return done.stdout;
      };
      const up = await bureau.up("--detach");
      assert.equal(up.code, 0, up.stderr);
      const upstream = `http://127.0.0.1:${models.port}`;
      const templates = encodeURIComponent(await roomId(bureau, "bureau/template"));
      await matrix(bureau, `rooms/${templates}/state/m.bureau.template/spender`, {
        method: "PUT",
        body: {
          description: "asks a model",
          inherits: ["bureau/template:agent"],
          command: ["/bin/sleep", "1000"],
          required_credentials: ["KEY"],
          proxy_services: { model: { upstream, inject_headers: { "x-api-key": "KEY" } } },
          egress: { allow: [`127.0.0.1:${models.port}`] },
          authorization: { grants: [{ actions: ["http/model"] }] },
          budgets: { day: { output_tokens: 100 } },
        },
      });
      const credentials = `${bureau.stateDir}-credentials.json`;
      await Deno.writeTextFile(
        credentials,
        JSON.stringify({ KEY: { value: KEY, allowed_hosts: [`127.0.0.1:${models.port}`] } }),
        { mode: 0o600 },
      );
      try {
        await cli(
          ...["agent", "create", AGENT, "--template", "bureau/template:spender"],
          ...["--credentials", credentials],
        );
      } finally {
        await Deno.remove(credentials);
      }
      const hash = new Uint8Array(
        await crypto.subtle.digest(
          "SHA-256",
          new TextEncoder().encode(`bureau/fleet/dev/${AGENT}`),
        ),
      ).toHex().slice(0, 16);
      const ask = async () => {
        using client = Deno.createHttpClient({
          proxy: { transport: "unix", path: `${bureau.runDir}/p/${hash}/agent/proxy.sock` },
        });
        const answer = await fetch("http://192.0.2.1/http/model/v1/messages", {
          client,
          method: "POST",
          headers: { "content-type": "application/json", "anthropic-version": "2023-06-01" },
          body: JSON.stringify({
            model: "claude-sonnet-4-5",
            max_tokens: 100,
            messages: [{ role: "user", content: "hello" }],
          }),
        });
        return { status: answer.status, body: await answer.json() };
      };
      const asked = (status: number) =>
        eventually(`an answer ${status}`, async () => {
          const answer = await ask().catch(() => null);
          if (answer?.status !== status) throw new Error(JSON.stringify(answer));
          return answer;
        }, 30_000);
      const spent = async (requests: number) =>
        await eventually("it is counted", async () => {
          const now = await bureau.json<Metrics>("agent", "metrics", AGENT);
          if (now.models[0]?.requests !== requests) throw new Error(JSON.stringify(now));
          return now;
        });

      await step(t, bureau, "what a request took is shown", async () => {
        await asked(200);
        const { models: [model], windows } = await spent(1);
        assert.equal(model!.output, 40);
        assert.deepEqual(windows.map(({ taken }) => taken.input), [100, 100, 100]);
        assert.match(
          await cli("agent", "metrics", AGENT),
          /last day +100 tokens in, 40 out.*budget 100 out/,
        );
      });

      await step(
        t,
        bureau,
        "a daemon that is killed forgets nothing, nor does the proxy meanwhile",
        async () => {
          const { supervisor } = await bureau.json<
            { supervisor: { processes: { name: string; pid: number }[] } }
          >("status");
          const daemon = supervisor.processes.find(({ name }) => name === "daemon")!;
          // What was spent is written within a second; killed before that, it would be lost.
          await eventually("it is written", async () => {
            const file = `${bureau.stateDir}/daemon/spending/${hash}.json`;
            return (await Deno.readTextFile(file)).includes('"output":40');
          });
          Deno.kill(daemon.pid, "SIGKILL");
          await asked(200);
          const { models: [model] } = await spent(2);
          assert.equal(model!.output, 80);
        },
      );

      await step(t, bureau, "the cap refuses, names itself, and operators are told", async () => {
        await asked(200);
        const { body } = await asked(429);
        assert.equal(body.error.code, "budget-exhausted");
        assert.match(body.error.message, /budgets\.day\.output_tokens/);
        const machine =
          (await bureau.json<{ daemon: { machine: string } }>("status")).daemon.machine;
        const config = await roomId(bureau, machine.slice(1).split(":")[0]!);
        await eventually(
          "the notice",
          async () =>
            (await messages(bureau, config)).some(({ content }) =>
              String(content["body"]).includes(
                "has used up its budget (budgets.day.output_tokens: 100)",
              )
            ),
        );
        assert.equal(models.asks.length, 3, "what is refused does not reach the model");
      });
    });
  } finally {
    await models.stop();
  }
});
