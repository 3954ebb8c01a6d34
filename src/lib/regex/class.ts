// SPDX-License-Identifier: Apache-2.0

/** Which characters: `[…]` and `\…`. */

export type CharTest = (character: string) => boolean;

interface Parsed {
  readonly test: CharTest;
  /** Behind what was read. */
  readonly end: number;
}

const isWord: CharTest = (one) => /^[A-Za-z0-9_]$/.test(one);
const isDigit: CharTest = (one) => one >= "0" && one <= "9";
const isSpace: CharTest = (one) => /^\s$/u.test(one);

const CLASSES: Readonly<Record<string, CharTest>> = {
  d: isDigit,
  w: isWord,
  s: isSpace,
  D: (one) => !isDigit(one),
  W: (one) => !isWord(one),
  S: (one) => !isSpace(one),
};
const CONTROLS: Readonly<Record<string, string>> = { t: "\t" };

/** @param at behind the backslash */
export function parseEscape(text: string, at: number, fail: (why: string) => Error): Parsed {
  const name = text[at];
  if (name === undefined) throw fail("it ends with a backslash");
  const known = CLASSES[name];
  if (known !== undefined) return { test: known, end: at + 1 };
  const [, code] = /^u([0-9A-Fa-f]{4})/.exec(text.slice(at)) ?? [];
  if (code !== undefined) {
    const character = String.fromCharCode(parseInt(code, 16));
    return { test: (one) => one === character, end: at + 5 };
  }
  const control = CONTROLS[name];
  if (control === undefined && /[A-Za-z0-9]/.test(name)) throw fail(`"\\${name}" is not taken`);
  const character = control ?? String.fromCodePoint(text.codePointAt(at)!);
  return {
    test: (one) => one === character,
    end: at + (control === undefined ? character.length : 1),
  };
}

/** @param at behind the bracket */
export function parseClass(text: string, at: number, fail: (why: string) => Error): Parsed {
  let place = at;
  const isNegated = text[place] === "^";
  if (isNegated) place++;
  const tests: CharTest[] = [];
  const single = (): string | null => {
    if (text[place] === "\\") {
      const { test, end } = parseEscape(text, place + 1, fail);
      const isClass = CLASSES[text[place + 1]!] !== undefined;
      const character = isClass ? null : only(text.slice(place + 1, end));
      place = end;
      if (isClass) tests.push(test);
      return character;
    }
    const character = String.fromCodePoint(text.codePointAt(place)!);
    place += character.length;
    return character;
  };
  for (let first = true; first || text[place] !== "]"; first = false) {
    if (place >= text.length) throw fail('a "[" is not closed');
    const from = single();
    if (from === null) {
      if (text[place] === "-" && text[place + 1] !== "]") {
        throw fail("a range begins with no class");
      }
      continue;
    }
    if (text[place] === "-" && text[place + 1] !== "]" && text[place + 1] !== undefined) {
      place++;
      const to = single();
      if (to === null || codeOf(to) < codeOf(from)) throw fail("a range goes from less to more");
      tests.push((one) => codeOf(one) >= codeOf(from) && codeOf(one) <= codeOf(to));
    } else tests.push((one) => one === from);
  }
  return { test: (one) => tests.some((test) => test(one)) !== isNegated, end: place + 1 };
}

/** The character that an escape stands for, without its backslash. */
function only(escape: string): string {
  if (/^u[0-9A-Fa-f]{4}$/.test(escape)) return String.fromCharCode(parseInt(escape.slice(1), 16));
  return CONTROLS[escape] ?? escape;
}

const codeOf = (character: string): number => character.codePointAt(0)!;
