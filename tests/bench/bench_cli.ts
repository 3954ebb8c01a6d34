// SPDX-License-Identifier: Apache-2.0

/**
 * Start of the command line as a person calls it, `sh tasks/bureau`: `--help`, and `agent list` of a Bureau that runs, which
 * reads a socket and no more. Beside both, Deno alone.
 */
import { withBureau } from "../e2e/harness.ts";
import { percentile, report } from "./report.ts";

const ROUNDS = 25;
const ROOT = new URL("../../", import.meta.url).pathname;

async function timeOf(program: string, args: readonly string[], env: Record<string, string>) {
  const times: number[] = [];
  // One more, which fills V8's cache.
  for (let round = 0; round <= ROUNDS; round++) {
    const before = performance.now();
    const { success, stderr } = await new Deno.Command(program, {
      args: [...args],
      env,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    if (round > 0) times.push(performance.now() - before);
  }
  return { p50: percentile(times, 0.5), p95: percentile(times, 0.95) };
}

await withBureau(async (bureau) => {
  const started = await bureau.up("--detach");
  if (started.code !== 0) throw new Error(started.stderr);
  const env = { BUREAU_STATE_DIR: bureau.stateDir, BUREAU_RUN_DIR: bureau.runDir };
  const call = (...args: string[]) => timeOf("/bin/sh", [`${ROOT}tasks/bureau`, ...args], env);
  const bare = await timeOf(Deno.execPath(), ["eval", "1"], {});
  const alternative = { name: "deno eval 1", value: bare.p50 };
  const help = await call("--help");
  const list = await call("agent", "list");
  const note = (p95: number) => `p95 ${p95.toFixed(0)} ms, ${ROUNDS} calls`;
  report({ id: "cli.help", value: help.p50, unit: "ms", alternative, note: note(help.p95) });
  report({ id: "cli.socket", value: list.p50, unit: "ms", alternative, note: note(list.p95) });
});
