// SPDX-License-Identifier: Apache-2.0

/** `template validate`: every mistake of a file, and what is seldom meant, without asking anybody. */
import type { CommandHandler } from "../framework/command.ts";
import { Ended, Exit } from "../framework/exit.ts";
import { mistakeLine } from "../framework/document.ts";
import { readTemplateFile } from "./input.ts";
import type * as results from "./results.ts";

export const validate: CommandHandler<typeof results.validate> = async (call) => {
  const file = await readTemplateFile(call, call.args[0]!);
  const { source, mistakes, warnings } = file;
  for (const mistake of mistakes) call.print(mistakeLine(source, mistake));
  for (const { field, message, ...place } of warnings) {
    call.print(
      mistakeLine(source, { ...place, field: "", message: `warning: ${field}: ${message}` }),
    );
  }
  if (mistakes.length === 0) call.print(`${source}: may be published`);
  const result = { source, valid: mistakes.length === 0, mistakes, warnings };
  return result.valid ? result : new Ended(result, Exit.failed);
};
