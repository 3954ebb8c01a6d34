// SPDX-License-Identifier: Apache-2.0

/** The command by the name that whoever reads it can type. */

let program: string | null | undefined;

/**
 * Our own texts name commands in either way, for none knows where it will be read: in a checkout it is `sh tasks/bureau`,
 * where Bureau is installed `bureau`. `tasks/bureau` and `deploy/bureau` say which.
 *
 * @param text not of others: theirs is shown as it is
 */
export function asCalled(text: string, name = calledAs()): string {
  if (name === null) return text;
  return text.replaceAll(/sh tasks\/bureau\b|(?<![\w/.@:-])bureau(?= [a-z])/g, name);
}

function calledAs(): string | null {
  if (program === undefined) program = Deno.env.get("BUREAU_PROGRAM") ?? null;
  return program;
}
