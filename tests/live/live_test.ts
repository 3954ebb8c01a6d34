// SPDX-License-Identifier: Apache-2.0

/**
 * Agents with their real models, behind a budget that their proxies keep: what tests/slow/agents_test.ts and
 * tests/e2e/native_agent_test.ts do with stand-ins. `deno task test:live`; without a key it says that it was skipped.
 */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { createAgent, type ModelService, publishTemplate } from "../e2e/agents.ts";
import { type Bureau, withBureau } from "../e2e/harness.ts";
import { readOptions } from "./options.ts";
import type { Program } from "./programs.ts";
import {
  goesOnWhereItWasKilled,
  outlivesTheDaemon,
  readsAndEdits,
  type Scene,
  sceneOf,
} from "./scenarios.ts";

const { programs, budget, keys, urls } = await readOptions(Deno.args);

for (const program of programs) {
  const { name, provider } = program;
  Deno.test(`${name}, with a model of ${provider}`, async (t) => {
    const key = keys[provider];
    if (key === null) return await skip(t, `no key for ${provider} was given`);
    const url = urls[provider] === null ? program.url : urls[provider] + program.path;
    await withBureau(async (bureau) => {
      const up = await bureau.up("--detach", "--no-agent");
      assert.equal(up.code, 0, up.stderr);
      if (program.installed !== null) {
        const installed = await bureau.cli("agent", "install", program.installed);
        assert.equal(installed.code, 0, installed.stderr);
      }
      await create(bureau, program, { ...program, url, service: provider, key });
      const scene: Scene = { ...await sceneOf(bureau, program), heard: refuseSpent };
      const isAtWork = async () => {
        const { stdout } = await bureau.cli("agent", "list");
        return new RegExp(`^${scene.agent} .* works `, "m").test(stdout);
      };
      const steps: readonly [string, () => Promise<void>][] = [
        ["it reads and edits a file, runs a command and answers", () => readsAndEdits(scene)],
        ["the daemon is killed; it goes on", () => outlivesTheDaemon(scene)],
        [
          "killed in the middle, it goes on with session and message",
          () => goesOnWhereItWasKilled(scene, isAtWork),
        ],
      ];
      // Each costs money.
      for (const [what, act] of steps) if (!await t.step(what, act)) break;
      await t.step(`it took ${await metrics(bureau, scene.agent)}`, () => {});
    });
  });
}

async function create(bureau: Bureau, program: Program, model: ModelService): Promise<void> {
  const template = await publishTemplate(bureau, `live-${program.name}`, program.template, model, {
    budgets: { day: { cost_usd: budget } },
  });
  const payload = ["--payload", JSON.stringify(program.payload)];
  await createAgent(bureau, program.name, template, model, ...payload);
}

/** Further questions would be refused, too. */
function refuseSpent(answer: string): void {
  if (!/budgets\.day\.cost_usd/.test(answer)) return;
  throw new Error(`$${budget} are spent, and no more is asked; --budget is another sum`);
}

async function metrics(bureau: Bureau, agent: string): Promise<string> {
  const { stdout } = await bureau.cli("agent", "metrics", agent);
  return stdout.trim().split("\n").slice(1).join("; ").replaceAll(/\s+/g, " ");
}
