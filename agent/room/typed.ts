// SPDX-License-Identifier: Apache-2.0
import { readLines } from "../../src/agent/driver/lines.ts";

const MAX_LINE = 64 * 1024;

/** Each line that is typed on the agent's terminal. */
export async function typed(each: (line: string) => void): Promise<void> {
  for await (const { text } of readLines(Deno.stdin.readable, MAX_LINE)) each(text);
}
