// SPDX-License-Identifier: Apache-2.0

/**
 * What a test or step does instead when it can't have what it needs: the report shows an ignored step
 * with the reason. (`deno test --quiet`, which tasks/test runs, hides what a test prints.)
 */
export async function skip(t: Deno.TestContext, reason: string): Promise<void> {
  const name = `skipped: ${reason.replaceAll(/\s+/g, " ")}`;
  await t.step({ name, ignore: true, fn: () => {} });
}

/**
 * Skips a test that needs a program of Debian which is not there.
 * @returns whether it was skipped
 */
export async function lacks(
  t: Deno.TestContext,
  program: string,
  debianPackage: string,
): Promise<boolean> {
  if (await Deno.stat(program).then(() => true, () => false)) return false;
  await skip(t, `${program} is not here: apt-get install ${debianPackage}`);
  return true;
}
