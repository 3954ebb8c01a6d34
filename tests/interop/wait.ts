// SPDX-License-Identifier: Apache-2.0

/** Waits until `look` says yes; what it threw last is the test's message. */
export async function waitFor(
  what: string,
  look: () => boolean | Promise<boolean>,
  deadlineMs = 60_000,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  let last: unknown = "it never was";
  while (performance.now() < deadline) {
    try {
      if (await look()) return;
    } catch (thrown) {
      last = thrown;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what}: not within ${deadlineMs} ms (${last})`);
}
