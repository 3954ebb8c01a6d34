// SPDX-License-Identifier: Apache-2.0

/** Files that are whole or absent, whenever this process is killed. */

/** Writes beside the target, makes it durable, then renames it into place. */
export async function writeWhole(path: string, text: string, mode = 0o600): Promise<void> {
  const fresh = `${path}.new`;
  await removeIfThere(fresh);
  {
    using file = await Deno.open(fresh, { write: true, createNew: true, mode });
    let bytes = new TextEncoder().encode(text);
    while (bytes.length > 0) bytes = bytes.subarray(await file.write(bytes));
    await file.sync();
  }
  await Deno.chmod(fresh, mode);
  await Deno.rename(fresh, path);
}

export async function removeIfThere(path: string, recursive = false): Promise<void> {
  try {
    await Deno.remove(path, { recursive });
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
}

/** @returns null when there is none */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw thrown;
  }
}

/** Makes a directory with exactly this mode, whatever the umask. */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  await Deno.mkdir(path, { recursive: true });
  await Deno.chmod(path, mode);
}
