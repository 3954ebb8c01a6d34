// SPDX-License-Identifier: Apache-2.0

/** What is not there may have been mistyped: the name that was meant, of those that there are. */
import { BureauError } from "../../lib/errors.ts";
import { nearest } from "../../lib/near.ts";
import type { CommandSpec, FlagValue, Invocation, Named } from "./command.ts";
import { namedBy } from "./complete.ts";
import { categoryOf, CliError } from "./exit.ts";

interface Given {
  readonly of: Exclude<Named, "file">;
  readonly word: string;
}

/** @returns the failure, with a hint where one of the names in the command line is like one that there is */
export async function nearer(
  thrown: unknown,
  spec: CommandSpec,
  call: Pick<Invocation, "args" | "flags"> & Parameters<typeof namesOf>[0],
): Promise<unknown> {
  if (!(thrown instanceof BureauError) || categoryOf(thrown) !== "not-found") return thrown;
  for (const { of, word } of givenNames(spec, call.args, call.flags)) {
    // Of several names the one that the failure is about.
    if (!thrown.message.includes(word.split("/").at(-1)!)) continue;
    const known = await namesOf(call, of, word).catch(() => []);
    const near = nearest(word, known.map((one) => one.word));
    if (near === undefined || near === word) continue;
    const { code, message, hint, status } = thrown;
    return new CliError(code, message, {
      hint: [`did you mean ${near}?`, ...(hint === undefined ? [] : [hint])].join(" "),
      status,
      cause: thrown,
    });
  }
  return thrown;
}

async function namesOf(
  ...asked: Parameters<typeof import("../completion/names.ts").namesOf>
): Promise<readonly { readonly word: string }[]> {
  return await (await import("../completion/names.ts")).namesOf(...asked);
}

function givenNames(
  { args = [], flags = {} }: CommandSpec,
  words: readonly string[],
  values: Readonly<Record<string, FlagValue>>,
): Given[] {
  const all = [
    ...args.map((argument, at) => ({ of: namedBy(argument), word: words[at] })),
    ...Object.entries(flags).map(([name, flag]) => ({ of: namedBy(flag), word: values[name] })),
  ];
  return all.flatMap(({ of, word }) =>
    of === undefined || of === "file" || typeof word !== "string" ? [] : [{ of, word }]
  );
}
