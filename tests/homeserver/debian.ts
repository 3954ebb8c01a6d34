// SPDX-License-Identifier: Apache-2.0

/** Programs of Debian on a machine that has none: unpacked beside it, not installed on it. */
import type { Unavailable } from "./provider.ts";
import { cacheDir } from "./python.ts";

/** Root's own, unlike /tmp: nobody else can put a program there for root to run. */
export const CACHE = "/var/cache/bureau-tests";
const decoder = new TextDecoder();

async function run(program: string, args: readonly string[], cwd = "/") {
  try {
    const { code, stderr } = await new Deno.Command(program, {
      args: [...args],
      cwd,
      stdin: "null",
    }).output();
    return { code, stderr: decoder.decode(stderr) };
  } catch (thrown) {
    return { code: 127, stderr: String(thrown) };
  }
}

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

/**
 * Downloads and unpacks packages once.
 * @param name of the directory that they are kept in
 * @param probe a file that is there when they are, below it
 * @returns the directory, or why they can't be had
 */
export async function unpackDebian(
  name: string,
  packages: readonly string[],
  probe: string,
): Promise<{ dir: string } | Unavailable> {
  const cache = Deno.uid() === 0 ? CACHE : cacheDir();
  const dir = `${cache}/${name}-${Deno.build.arch}`;
  await Deno.mkdir(cache, { recursive: true, mode: 0o700 });
  using lock = await Deno.open(`${dir}.lock`, { create: true, write: true });
  await lock.lock(true);
  if (await exists(`${dir}/${probe}`)) return { dir };
  const fresh = `${dir}.new`;
  await Deno.remove(fresh, { recursive: true }).catch(() => {});
  await Deno.mkdir(fresh, { recursive: true });
  const download = () => run("apt-get", ["download", "-qq", ...packages], fresh);
  let got = await download();
  if (got.code !== 0) {
    // The lists of a fresh machine are empty, and an old one's name versions that are gone.
    await run("apt-get", ["update", "-qq"]);
    got = await download();
  }
  if (got.code !== 0) {
    return { reason: `${packages[0]} cannot be had from Debian: ${got.stderr.trim().slice(-200)}` };
  }
  for await (const { name } of Deno.readDir(fresh)) {
    if (!name.endsWith(".deb")) continue;
    const unpacked = await run("dpkg-deb", ["--extract", `${fresh}/${name}`, fresh]);
    if (unpacked.code !== 0) return { reason: `cannot unpack ${name}: ${unpacked.stderr}` };
    await Deno.remove(`${fresh}/${name}`);
  }
  await Deno.rename(fresh, dir);
  return { dir };
}
