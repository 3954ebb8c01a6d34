// SPDX-License-Identifier: Apache-2.0

/** The operator's small files: whole or absent, and private unless said otherwise. */

/** @returns whether anything changed */
export async function writeIfDifferent(path: string, text: string, mode = 0o600): Promise<boolean> {
  if (await readText(path) === text) return false;
  const fresh = `${path}.new`;
  await Deno.remove(fresh).catch(() => {});
  await Deno.writeTextFile(fresh, text, { mode, createNew: true });
  await Deno.chmod(fresh, mode);
  await Deno.rename(fresh, path);
  return true;
}

/** The text, or null when there is no such file. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw thrown;
  }
}

/** The parsed JSON, or null when there is no such file or it was cut off while being written. */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
