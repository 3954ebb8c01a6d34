// SPDX-License-Identifier: Apache-2.0

/**
 * Puts Deno, the permission sets and the bundles where every process and cell can read them: a
 * checkout in somebody's home directory is not readable by the users that processes drop to.
 */
import { diskError } from "./directories.ts";

/**
 * Copies what differs: the Deno executable is 90 MB, a tenth of a second once. (A hard link would be
 * quicker, but for one Deno wants the right to write the original.)
 *
 * @param from the checkout's `dist/runtime`
 * @param to `<state>/runtime`
 */
export async function installRuntime(from: string, to: string, deno: string): Promise<void> {
  try {
    await place(deno, `${to}/deno`, 0o755, false);
    for await (const entry of Deno.readDir(from)) {
      if (!entry.isFile || entry.name === "deno") continue;
      await place(`${from}/${entry.name}`, `${to}/${entry.name}`, 0o644, true);
    }
  } catch (thrown) {
    throw diskError(to, thrown);
  }
}

/** Copies the programs of the example agents, one folder each, for everybody to read. */
export async function installAgents(from: string, to: string): Promise<void> {
  try {
    for await (const folder of Deno.readDir(from)) {
      if (!folder.isDirectory) continue;
      await Deno.mkdir(`${to}/${folder.name}`, { recursive: true });
      await Deno.chmod(`${to}/${folder.name}`, 0o755);
      for await (const entry of Deno.readDir(`${from}/${folder.name}`)) {
        const path = `${folder.name}/${entry.name}`;
        await place(`${from}/${path}`, `${to}/${path}`, 0o755, true);
      }
    }
  } catch (thrown) {
    throw diskError(to, thrown);
  }
}

/** @param compare looks into files of equal size; else equal size is equal */
async function place(
  source: string,
  target: string,
  mode: number,
  compare: boolean,
): Promise<void> {
  const wanted = await Deno.stat(source);
  const present = await Deno.stat(target).catch(() => null);
  if (present !== null && present.size === wanted.size) {
    if (!compare || await sameText(source, target)) return;
  }
  // A new name and a rename: a running process keeps the file it has open.
  const fresh = `${target}.new`;
  await Deno.remove(fresh).catch(() => {});
  await Deno.copyFile(source, fresh);
  await Deno.chmod(fresh, mode);
  await Deno.rename(fresh, target);
}

async function sameText(a: string, b: string): Promise<boolean> {
  return await Deno.readTextFile(a) === await Deno.readTextFile(b);
}
