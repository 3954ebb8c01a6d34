// SPDX-License-Identifier: Apache-2.0

/** Programs from PyPI for a test: pinned, each in a cached virtual environment. Nothing is installed on the machine. */
import { run } from "../e2e/harness.ts";
import type { Unavailable } from "./provider.ts";

/** Where environments are kept between runs; per user, so that nobody runs another's code. */
export function cacheDir(): string {
  const base = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME") ?? "/tmp"}/.cache`;
  return `${base}/bureau-tests`;
}

/**
 * @param distribution as PyPI calls it
 * @returns the Python of an environment that has it, or why there is none
 */
export async function pythonWith(
  distribution: string,
  version: string,
): Promise<{ python: string } | Unavailable> {
  const cache = cacheDir();
  const dir = `${cache}/${distribution}-${version}`;
  await Deno.mkdir(cache, { recursive: true });
  // Test files run at once, and one of them installs.
  using lock = await Deno.open(`${dir}.lock`, { create: true, write: true });
  await lock.lock(true);
  const python = `${dir}/bin/python`;
  const probe =
    `import importlib.metadata as m; assert m.version("${distribution}") == "${version}"`;
  const attempt = (program: string, args: string[]) =>
    run(program, args).catch((thrown) => ({ code: 1, stdout: "", stderr: String(thrown) }));
  if ((await attempt(python, ["-c", probe])).code === 0) return { python };
  const made = await attempt("python3", ["-m", "venv", "--clear", dir]);
  if (made.code !== 0) {
    return {
      reason: `no Python with venv here: ${(made.stderr + made.stdout).trim().slice(-200)}`,
    };
  }
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  const installed = await attempt(python, [...pip, `${distribution}==${version}`]);
  if (installed.code !== 0) {
    return {
      reason: `${distribution} ${version} cannot be had: ${installed.stderr.trim().slice(-200)}`,
    };
  }
  return { python };
}
