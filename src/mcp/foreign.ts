// SPDX-License-Identifier: Apache-2.0

/**
 * Text that agents, rooms and programs wrote goes through here on its way to a model: what a terminal would
 * obey is made visible, and what a model's own markup is made of is taken apart, so that no line of an
 * agent's output can pass for the end of a result, or for another speaker.
 */
import { neutralise } from "../lib/terminal/mod.ts";

/** Nothing to see, but a model reads them: tags (an alphabet of their own), zero widths, variation selectors. */
const UNSEEN = /[\u{e0000}-\u{e007f}\u{e0100}-\u{e01ef}\u200b-\u200d\u2060-\u2064\ufeff\u00ad]/gu;

/** `<|im_start|>` and its kind. */
const SPECIAL = /<(?=\|)|\|(?=>)/g;

/** Names of elements with which prompts of the known models tell who speaks. */
const ELEMENTS = [
  ...["system", "assistant", "user", "human", "developer", "instructions?", "important"],
  ...["system[-_]reminder", "function_calls?", "function_results?", "invoke", "parameter"],
  ...["tool_calls?", "tool_use", "tool_results?", "tool_response", "thinking", "antml:[a-z_]+"],
].join("|");
const ELEMENT = new RegExp(`<(?=/?\\s*(?:${ELEMENTS})\\b)`, "gi");

const BRACKETS = /\[(?=\/?(?:INST|SYS)\])|<(?=\/?s>)|<(?=<\/?SYS>)/gi;

/** A turn of an old-style transcript, at the beginning of a line. */
const TURN = /^([ \t]*)(Human|Assistant|System|User)(?=:)/gim;

export function tameText(text: string): string {
  return neutralise(text)
    .replace(UNSEEN, (mark) => `\\u{${mark.codePointAt(0)!.toString(16)}}`)
    .replace(SPECIAL, (mark) => mark === "<" ? "‹" : "¦")
    .replace(ELEMENT, "‹")
    .replace(BRACKETS, (mark) => mark === "[" ? "⟦" : "‹")
    .replace(TURN, (_, space: string, speaker: string) => `${space}"${speaker}"`);
}

/** Every string in a JSON value, names of fields too. @returns a copy */
export function tame(value: unknown): unknown {
  if (typeof value === "string") return tameText(value);
  if (Array.isArray(value)) return value.map(tame);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [tameText(name), tame(item)]),
  );
}
