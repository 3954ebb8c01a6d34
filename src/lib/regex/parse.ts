// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../errors.ts";
import { type CharTest, parseClass, parseEscape } from "./class.ts";
import { type Instruction, run } from "./run.ts";

/** Of one expression. */
const MAX_LENGTH = 200;
const MAX_INSTRUCTIONS = 2_000;
const MAX_REPEAT = 100;
const MAX_DEPTH = 20;

export class RegexError extends BureauError {
  override readonly name = "RegexError";
}

export interface LinearRegex {
  /** Whether it matches anywhere in the text. */
  test(text: string): boolean;
}

/** What a piece of the expression becomes, starting at a given place of the program. */
type Piece =
  | { readonly kind: "test"; readonly test: CharTest }
  | { readonly kind: "at"; readonly at: "start" | "end" | "edge" | "inside" }
  | { readonly kind: "all"; readonly parts: readonly Piece[] }
  | { readonly kind: "one"; readonly of: readonly Piece[] }
  | { readonly kind: "repeat"; readonly what: Piece; readonly min: number; readonly max: number };

/**
 * Literals, `.`, `[a-z]`, `\d \w \s \b` and their opposites, `( )`, `|`, `* + ? {n,m}`, `^ $`; `(?i)` at the beginning: in
 * either case.
 * @throws {RegexError} `bad-regex`
 */
export function parseRegex(source: string): LinearRegex {
  const program = new Parser(source).program();
  return { test: (text) => run(program, text) };
}

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #anyCase = false;

  constructor(text: string) {
    this.#text = text;
    if (text.length > MAX_LENGTH) throw this.#error(`it is longer than ${MAX_LENGTH} characters`);
    if (text === "") throw this.#error("it is empty");
  }

  program(): Instruction[] {
    if (this.#text.startsWith("(?i)")) {
      this.#anyCase = true;
      this.#at = 4;
    }
    const piece = this.#alternatives();
    if (this.#at < this.#text.length) throw this.#error(`")" closes nothing`);
    const program: Instruction[] = [];
    emit(piece, program, () => this.#error("its repetitions are too many"));
    program.push({ op: "match" });
    return program;
  }

  #error(why: string): RegexError {
    return new RegexError("bad-regex", `Cannot use the pattern: ${why}`, { status: 422 });
  }

  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #alternatives(): Piece {
    if (++this.#depth > MAX_DEPTH) throw this.#error("its groups are too deep");
    const of = [this.#sequence()];
    while (this.#take("|")) of.push(this.#sequence());
    this.#depth--;
    return of.length === 1 ? of[0]! : { kind: "one", of };
  }

  #sequence(): Piece {
    const parts: Piece[] = [];
    while (this.#at < this.#text.length && !"|)".includes(this.#text[this.#at]!)) {
      parts.push(this.#repeated(this.#single()));
    }
    return parts.length === 1 ? parts[0]! : { kind: "all", parts };
  }

  #single(): Piece {
    if (this.#take("(")) {
      if (this.#take("?") && !this.#take(":")) {
        throw this.#error("looking around, names and flags in groups are not taken");
      }
      const inner = this.#alternatives();
      if (!this.#take(")")) throw this.#error('a "(" is not closed');
      return inner;
    }
    if (this.#take("^")) return { kind: "at", at: "start" };
    if (this.#take("$")) return { kind: "at", at: "end" };
    if (this.#take("\\b")) return { kind: "at", at: "edge" };
    if (this.#take("\\B")) return { kind: "at", at: "inside" };
    if (this.#take(".")) return { kind: "test", test: () => true };
    const fail = (why: string) => this.#error(why);
    if (this.#take("[")) {
      const { test, end } = parseClass(this.#text, this.#at, fail);
      this.#at = end;
      return this.#cased(test);
    }
    if (this.#take("\\")) {
      const { test, end } = parseEscape(this.#text, this.#at, fail);
      this.#at = end;
      return this.#cased(test);
    }
    if ("*+?{}".includes(this.#text[this.#at]!)) throw this.#error("it repeats nothing");
    const character = String.fromCodePoint(this.#text.codePointAt(this.#at)!);
    this.#at += character.length;
    return this.#cased((one) => one === character);
  }

  #cased(test: CharTest): Piece {
    if (!this.#anyCase) return { kind: "test", test };
    return {
      kind: "test",
      test: (one) => test(one) || test(one.toLowerCase()) || test(one.toUpperCase()),
    };
  }

  #repeated(what: Piece): Piece {
    let piece = what;
    const begin = this.#at;
    const [, least, comma, most] = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#text.slice(begin)) ??
      [];
    let range: readonly [number, number] | null = null;
    if (this.#take("*")) range = [0, Infinity];
    else if (this.#take("+")) range = [1, Infinity];
    else if (this.#take("?")) range = [0, 1];
    else if (least !== undefined) {
      this.#at = this.#text.indexOf("}", begin) + 1;
      range = [
        Number(least),
        comma === undefined ? Number(least) : most === "" ? Infinity : Number(most),
      ];
    }
    if (range === null) return piece;
    const [min, max] = range;
    if (min > MAX_REPEAT || (max !== Infinity && max > MAX_REPEAT) || min > max) {
      throw this.#error(`a repetition is at most ${MAX_REPEAT}, from less to more`);
    }
    if (what.kind === "at" && this.#text[begin - 1] !== ")") {
      throw this.#error("a place can't be repeated");
    }
    piece = { kind: "repeat", what, min, max };
    // Lazy or not is the same where only "whether" is asked.
    this.#take("?");
    if ("*+{".includes(this.#text[this.#at] ?? " ")) throw this.#error("it repeats a repetition");
    return piece;
  }
}

function emit(piece: Piece, program: Instruction[], tooLarge: () => RegexError): void {
  if (program.length > MAX_INSTRUCTIONS) throw tooLarge();
  switch (piece.kind) {
    case "test":
      program.push({ op: "test", test: piece.test });
      return;
    case "at":
      program.push({ op: "at", at: piece.at });
      return;
    case "all":
      for (const part of piece.parts) emit(part, program, tooLarge);
      return;
    case "one":
      return emitOne(piece.of, program, tooLarge);
    case "repeat":
      return emitRepeat(piece, program, tooLarge);
  }
}

function emitOne(
  of: readonly Piece[],
  program: Instruction[],
  tooLarge: () => RegexError,
): void {
  const exits: { op: "jump"; to: number }[] = [];
  of.forEach((piece, index) => {
    if (index === of.length - 1) return emit(piece, program, tooLarge);
    const split = { op: "split" as const, to: [program.length + 1, 0] as [number, number] };
    program.push(split);
    emit(piece, program, tooLarge);
    const exit = { op: "jump" as const, to: 0 };
    program.push(exit);
    exits.push(exit);
    split.to[1] = program.length;
  });
  for (const exit of exits) exit.to = program.length;
}

function emitRepeat(
  { what, min, max }: Extract<Piece, { kind: "repeat" }>,
  program: Instruction[],
  tooLarge: () => RegexError,
): void {
  for (let count = 0; count < min; count++) emit(what, program, tooLarge);
  if (max === Infinity) {
    const begin = program.length;
    const split = { op: "split" as const, to: [begin + 1, 0] as [number, number] };
    program.push(split);
    emit(what, program, tooLarge);
    program.push({ op: "jump", to: begin });
    split.to[1] = program.length;
    return;
  }
  const splits: { to: [number, number] }[] = [];
  for (let count = min; count < max; count++) {
    const split = { op: "split" as const, to: [program.length + 1, 0] as [number, number] };
    program.push(split);
    splits.push(split);
    emit(what, program, tooLarge);
  }
  for (const split of splits) split.to[1] = program.length;
}
