// SPDX-License-Identifier: Apache-2.0

const DEADLINE_MS = 60_000;

/** Waits until `look` gives something other than null or false. */
export async function eventually<T>(
  what: string,
  look: () => T | null | false | Promise<T | null | false>,
  deadlineMs = DEADLINE_MS,
): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  while (true) {
    const seen = await look();
    if (seen !== null && seen !== false) return seen;
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** @returns null when the file is not there yet */
export async function textOf(path: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw thrown;
  }
}
