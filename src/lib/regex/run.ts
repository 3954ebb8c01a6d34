// SPDX-License-Identifier: Apache-2.0
import type { CharTest } from "./class.ts";

export type Instruction =
  | { readonly op: "test"; readonly test: CharTest }
  | { readonly op: "at"; readonly at: "start" | "end" | "edge" | "inside" }
  | { readonly op: "split"; readonly to: readonly [number, number] }
  | { readonly op: "jump"; readonly to: number }
  | { readonly op: "match" };

/** Each place of the program is looked at once a character at most. */
export function run(program: readonly Instruction[], text: string): boolean {
  const characters = [...text];
  const seen = new Int32Array(program.length).fill(-1);
  let waiting: number[] = [];
  for (let at = 0; at <= characters.length; at++) {
    const next: number[] = [];
    // A match may begin anywhere.
    const ready = [...waiting, 0];
    while (ready.length > 0) {
      const place = ready.pop()!;
      if (seen[place] === at) continue;
      seen[place] = at;
      const instruction = program[place]!;
      switch (instruction.op) {
        case "match":
          return true;
        case "jump":
          ready.push(instruction.to);
          break;
        case "split":
          ready.push(...instruction.to);
          break;
        case "at":
          if (holds(instruction.at, characters, at)) ready.push(place + 1);
          break;
        case "test":
          if (at < characters.length && instruction.test(characters[at]!)) next.push(place + 1);
          break;
      }
    }
    waiting = next;
  }
  return false;
}

function holds(
  what: "start" | "end" | "edge" | "inside",
  characters: readonly string[],
  at: number,
): boolean {
  if (what === "start") return at === 0;
  if (what === "end") return at === characters.length;
  const isWord = (one: string | undefined) => one !== undefined && /^[A-Za-z0-9_]$/.test(one);
  return (isWord(characters[at - 1]) !== isWord(characters[at])) === (what === "edge");
}
