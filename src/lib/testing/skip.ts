// SPDX-License-Identifier: Apache-2.0

/** A step that is ignored: the report shows its reason. Plain output is hidden by `deno test --quiet`. */
export async function skip(t: Deno.TestContext, reason: string): Promise<void> {
  await t.step({ name: `skipped: ${reason}`, ignore: true, fn: () => {} });
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
