// SPDX-License-Identifier: Apache-2.0

/** C0 but newline and tab, DEL, C1; and the marks that make text read in another order than it is. */
// deno-lint-ignore no-control-regex -- control characters are what is replaced
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Makes hostile text visible instead of effective: a terminal would obey an escape sequence in it, and
 * a bidirectional override would show another text than the one that is there.
 *
 * @returns the text with each such character as `\xNN` or `\u{NNNN}`; line breaks and tabs stay
 */
export function neutralise(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(UNSAFE, (character) => {
    const code = character.codePointAt(0)!;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/** The same for what must stay on one line. */
export function neutraliseLine(text: string): string {
  return neutralise(text).replaceAll("\n", "\\n").replaceAll("\t", " ");
}

/** JSON in which no character acts on a terminal; `JSON.stringify` leaves DEL, C1 and bidi marks. */
export function safeJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    UNSAFE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
