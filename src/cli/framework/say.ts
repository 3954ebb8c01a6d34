// SPDX-License-Identifier: Apache-2.0

/** What a command writes, whole, and how a failure is said. */
import { BureauError, messageOf } from "../../lib/errors.ts";
import { neutralise, neutraliseLine, safeJson } from "../../lib/terminal/mod.ts";
import { asCalled } from "./called.ts";
import { errorDocument, exitCodeOf } from "./exit.ts";
import { paint, screenAt } from "./screen.ts";

export function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}

/** On stderr, for people and for programs: what stands on stdout is what was asked for. @returns the exit status */
export function fail(thrown: unknown, json: boolean): number {
  if (json) write(Deno.stderr, safeJson(errorDocument(thrown)) + "\n");
  else {
    const on = screenAt(Deno.stderr);
    // Messages quote names and answers of others.
    write(Deno.stderr, `${paint("error:", "bad", on)} ${neutraliseLine(messageOf(thrown))}\n`);
    if (thrown instanceof BureauError && thrown.hint !== undefined) {
      write(Deno.stderr, `${paint("hint:", "heading", on)} ${neutralise(asCalled(thrown.hint))}\n`);
    }
  }
  return exitCodeOf(thrown);
}
