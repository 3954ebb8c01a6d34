// SPDX-License-Identifier: Apache-2.0

/** `template diff`: two templates, or one and a file. */
import { parseTemplateRef } from "../../lib/ref/mod.ts";
import type { Template } from "../../lib/schema/mod.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, matrixClient } from "../session.ts";
import { compare, differenceLines } from "./compare.ts";
import { readTemplateFile, soundTemplate } from "./input.ts";
import { TemplateStore } from "./store.ts";
import type * as results from "./results.ts";

export const diff: CommandHandler<typeof results.diff> = async (call) => {
  const session = await loadSession(call);
  const store = new TemplateStore(matrixClient(session), session);
  const [left, right] = call.args as [string, string];
  if (left === "-" && right === "-") {
    throw new CliError("usage", "Cannot compare: only one of the two may be a file");
  }
  const before = await side(call, store, left);
  const after = await side(call, store, right);
  const differences = compare(before, after);
  for (const line of differenceLines(differences)) call.print(line);
  if (differences.length === 0) call.print("no difference");
  return { differences };
};

async function side(call: Invocation, store: TemplateStore, argument: string): Promise<Template> {
  const resolved = call.flags["resolved"] === true;
  if (argument.includes(":")) {
    const reference = store.normal(argument);
    return resolved
      ? (await store.trace(reference)).template
      : await store.fetch(parseTemplateRef(reference));
  }
  const template = soundTemplate(await readTemplateFile(call, argument));
  if (!resolved) return template;
  // A name that no room has: the file stands by itself.
  return (await store.trace("file:file", new Map([["file:file", template]]))).template;
}
