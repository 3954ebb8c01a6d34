// SPDX-License-Identifier: Apache-2.0

/** Replaces a file at once: a reader sees the old one or the new one, whole. */
export async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const fresh = `${path}.new`;
  await Deno.remove(fresh).catch(() => {});
  await Deno.writeTextFile(fresh, text, { createNew: true, mode: 0o600 });
  await Deno.chmod(fresh, mode);
  await Deno.rename(fresh, path);
}
