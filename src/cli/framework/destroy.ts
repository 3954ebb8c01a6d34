// SPDX-License-Identifier: Apache-2.0

/** The one place where a command runs; one that destroys is looked through first, and asked about. */
import type { CommandSpec, Invocation, Plan } from "./command.ts";
import { CliError } from "./exit.ts";

/** What `--dry-run` gives. */
export interface DryRun {
  readonly dry_run: true;
  readonly would: string;
  readonly lines: readonly string[];
}

/** @returns what its handler gives */
export async function perform(spec: CommandSpec, call: Invocation): Promise<unknown> {
  if (!spec.destroys) return await (await spec.load())(call);
  const plan = await (await spec.load())(call);
  if (plan === null) return undefined;
  if (call.flags["dry-run"] === true) return tell(call, plan);
  if (plan.harmless !== true && call.flags["yes"] !== true) ask(call, plan);
  return await plan.run();
}

function tell(call: Invocation, { what, lines }: Plan): DryRun {
  call.print(`would ${what}`);
  for (const line of lines) call.print(`  ${line}`);
  call.print("nothing was changed (--dry-run)");
  return { dry_run: true, would: what, lines };
}

/** @throws {CliError} `usage` where nobody can be asked, `cancelled` where the answer is no */
export function ask(call: Invocation, { what, lines }: Pick<Plan, "what" | "lines">): void {
  // A program that reads JSON answers no questions.
  if (call.json || !Deno.stdin.isTerminal()) {
    throw new CliError("usage", `Cannot ${what} without being told so`, {
      hint: "look with --dry-run, then add --yes",
    });
  }
  for (const line of lines) call.print(line);
  const question = `${what.charAt(0).toUpperCase()}${what.slice(1)}? Type yes:`;
  if (prompt(question)?.trim() !== "yes") {
    throw new CliError("cancelled", "Cancelled: nothing was changed");
  }
}
