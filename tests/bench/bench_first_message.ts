// SPDX-License-Identifier: Apache-2.0

/**
 * What a newcomer waits for: from `git clone` to the example agent's first message in its room, by the README's own commands. The
 * packages are in the cache already (`DENO_DIR`); nothing of this checkout's build is used. Beside it the clone alone.
 */
import { eventually, freePort, ROOT, run } from "../e2e/harness.ts";
import { percentile, report } from "./report.ts";

const ROUNDS = 3;

/** @returns ms of the clone, and of all */
async function once(base: string): Promise<{ clone: number; all: number }> {
  const directories = ["--state-dir", `${base}/s`, "--run-dir", `${base}/r`];
  const done = async (program: string, args: string[], cwd: string) => {
    const finished = await run(program, args, cwd);
    if (finished.code !== 0) throw new Error(`${args.join(" ")}: ${finished.stderr}`);
    return finished.stdout;
  };
  const began = performance.now();
  await done("git", ["-c", "safe.directory=*", "clone", "--quiet", ROOT, `${base}/bureau`], base);
  const clone = performance.now() - began;
  const folder = `${base}/bureau`;
  const ports = ["--listen", `127.0.0.1:${freePort()}`, "--authority", `127.0.0.1:${freePort()}`];
  try {
    await done("sh", ["tasks/bootstrap", "up", "--detach", ...ports, ...directories], folder);
    await eventually("the first message", async () => {
      const said = await run(
        "sh",
        ["tasks/bureau", "matrix", "messages", "agent/scribe", ...directories],
        folder,
      );
      return /agent\/scribe: \S/.test(said.stdout);
    });
    return { clone, all: performance.now() - began };
  } finally {
    await done("sh", ["tasks/up", "--down", ...directories], folder);
  }
}

const times: { clone: number; all: number }[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const base = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-first-" });
  // Root's processes run under users of their own, which must be able to pass.
  await Deno.chmod(base, 0o711);
  try {
    times.push(await once(base));
  } finally {
    await run("rm", ["-rf", "--one-file-system", base]);
  }
}
const seconds = (values: readonly number[]) => percentile([...values], 0.5) / 1000;
report({
  id: "first.message",
  value: seconds(times.map(({ all }) => all)),
  unit: "s",
  alternative: { name: "git clone alone", value: seconds(times.map(({ clone }) => clone)) },
  note: `${ROUNDS} times, packages in the cache`,
});
