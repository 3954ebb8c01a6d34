// SPDX-License-Identifier: Apache-2.0

/** `deno task test:live` itself, with stand-ins where the real models would be: what it does with keys, without, and when the money is spent. */
import assert from "node:assert/strict";
import { startModels } from "../../src/agent/testing/model/mod.ts";
import { type Finished, ROOT } from "../e2e/harness.ts";
import { Play } from "../live/play.ts";
import { PROGRAMS } from "../live/programs.ts";

const KEY = `sk-${crypto.randomUUID()}`;

/** As a person runs it, with keys on its standard input. */
async function live(keys: Record<string, string>, ...options: string[]): Promise<Finished> {
  const child = new Deno.Command("sh", {
    args: ["tasks/test", "--live", "--keys", "-", ...options],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(keys)));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

for (const name of ["native", "native-openai"] as const) {
  const program = PROGRAMS.find((each) => each.name === name)!;
  const { provider } = program;
  Deno.test(`test:live runs with a model of ${provider}, and ends when its money is spent`, async (t) => {
    /** @param input tokens that each question is said to have taken */
    const run = async (input: number) => {
      const play = new Play(program);
      const models = startModels({
        script: async (ask) => {
          const reply = await play.script(ask);
          return reply.kind === "fail" ? reply : { ...reply, usage: { input, output: 10 } };
        },
        keys: { anthropic: KEY, openai: KEY },
      });
      try {
        const url = `http://127.0.0.1:${models.port}`;
        const done = await live(
          { [provider]: KEY },
          ...[`--only=${name}`, `--${provider}-url=${url}`, "--budget=1"],
        );
        assert.ok(!(done.stdout + done.stderr).includes(KEY));
        return { ...done, asks: models.asks.length };
      } finally {
        play.over.resolve({ kind: "say", text: ["over"] });
        await models.stop();
      }
    };
    await t.step("all of it, and what it took", async () => {
      const { code, stdout, stderr, asks } = await run(1_000);
      assert.equal(code, 0, stdout + stderr);
      assert.match(stdout, /killed in the middle[^]*it took .*\$0\.0/);
      assert.ok(asks >= 8, `${asks} questions`);
    });
    await t.step("no more than its budget", async () => {
      const { code, stdout, stderr, asks } = await run(10_000_000);
      assert.equal(code, 1, stdout + stderr);
      assert.match(stdout + stderr, /\$1 are spent, and no more is asked/);
      assert.equal(asks, 1);
    });
  });
}

Deno.test("test:live says that it was skipped where there is no key", async () => {
  const { code, stdout, stderr } = await live({});
  assert.equal(code, 0, stdout + stderr);
  for (const { name, provider } of PROGRAMS) {
    assert.match(
      stdout,
      new RegExp(`^${name}, with a model of ${provider} \\.\\.\\.\\n +skipped: no key`, "m"),
    );
  }
});
