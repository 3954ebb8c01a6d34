// SPDX-License-Identifier: Apache-2.0

/**
 * What a test or step does instead when it can't have what it needs: the report shows an ignored step
 * with the reason. (`deno test --quiet`, which tasks/test runs, hides what a test prints.)
 */
export async function skip(t: Deno.TestContext, reason: string): Promise<void> {
  const name = `skipped: ${reason.replaceAll(/\s+/g, " ")}`;
  await t.step({ name, ignore: true, fn: () => {} });
}
