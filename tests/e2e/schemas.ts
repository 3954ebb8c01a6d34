// SPDX-License-Identifier: Apache-2.0

/** What commands give with `--json`, held to the schemas that they promise: every `bureau.json()` of every test goes through here. */
import assert from "node:assert/strict";
import * as z from "zod/mini";
import { commands, groups } from "../../src/cli/commands.ts";
import type { CommandSpec } from "../../src/cli/framework/command.ts";

/** By the words that the command line begins with, or that a group's name alone stands for. */
function commandOf(args: readonly string[]): CommandSpec | undefined {
  const at = (path: readonly string[]) =>
    commands.filter((spec) => spec.path.every((word, index) => path[index] === word))
      .toSorted((a, b) => b.path.length - a.path.length)[0];
  const [group = "", part = ""] = args;
  const alone = groups.find(({ name }) => name === group)?.alone ?? {};
  return at(args) ??
    (alone[part] === undefined ? undefined : at([group, part, alone[part]])) ??
    (alone[""] === undefined ? undefined : at([group, alone[""]]));
}

/** @throws AssertionError naming the field that is not as promised, or that nobody has promised */
export async function assertAsPromised(args: readonly string[], given: unknown): Promise<void> {
  const spec = commandOf(args);
  if (spec?.result === undefined) return;
  const name = spec.path.join(" ");
  const parsed = z.safeParse(await spec.result(), given);
  if (!parsed.success) assert.fail(`bureau ${name} --json: ${z.prettifyError(parsed.error)}`);
  assert.deepEqual(parsed.data, given, `bureau ${name} --json gives what its schema lacks`);
}
