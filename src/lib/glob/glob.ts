// SPDX-License-Identifier: Apache-2.0

/**
 * Patterns over slash paths (actions such as `matrix/send/m.room.message`, localparts):
 *
 * - `*` any run of characters inside one segment, `?` one of them, `[a-z]` and `[^a-z]` classes,
 *   `\` takes the next character literally; none of these ever matches `/`;
 * - `**` alone matches everything; `P/**` matches P and everything below it; `**` + `/S` matches S and
 *   every path that ends in it; `P/**` + `/S` matches zero or more segments between the two.
 *
 * A pattern that is none of these (a second `**`, `**` beside other characters, an empty segment, an
 * open class, a dangling `\`) is malformed and matches nothing. Matching takes time proportional to
 * pattern × path at worst: a hostile pattern can't stall the process that checks it.
 */
export type GlobMatcher = (path: string) => boolean;

type Token =
  | { readonly kind: "literal"; readonly char: string }
  | { readonly kind: "one" }
  | { readonly kind: "run" }
  | {
    readonly kind: "class";
    readonly negated: boolean;
    readonly ranges: readonly (readonly [number, number])[];
  };

type Segment = readonly Token[];

/** A pattern longer than this is malformed: no honest action or name comes near it. */
const MAX_PATTERN = 1024;

/** True when the path matches; false for every path when the pattern is malformed. */
export function matchGlob(pattern: string, path: string): boolean {
  return compileGlob(pattern)?.(path) ?? false;
}

/** True when the pattern is well-formed, so that validation can refuse one that would never match. */
export function isGlob(pattern: string): boolean {
  return compileGlob(pattern) !== null;
}

/** Patterns are few and come from policies, not from agents; a check per request must not parse them. */
const compiled = new Map<string, GlobMatcher | null>();
const MAX_COMPILED = 1024;

/** Compiles once for many matches. @returns null when the pattern is malformed */
export function compileGlob(pattern: string): GlobMatcher | null {
  let matcher = compiled.get(pattern);
  if (matcher === undefined) {
    matcher = compile(pattern);
    if (compiled.size >= MAX_COMPILED) compiled.clear();
    compiled.set(pattern, matcher);
  }
  return matcher;
}

function compile(pattern: string): GlobMatcher | null {
  if (pattern === "" || pattern.length > MAX_PATTERN || !pattern.isWellFormed()) return null;
  if (pattern === "**") return () => true;
  const texts = pattern.split("/");
  const deep = texts.indexOf("**");
  const segments: Segment[] = [];
  for (const [index, text] of texts.entries()) {
    if (index === deep) continue;
    const segment = parseSegment(text);
    if (segment === null) return null;
    segments.push(segment);
  }
  if (deep < 0) {
    return (path) => {
      const parts = path.split("/");
      return parts.length === segments.length && matchAt(segments, parts, 0);
    };
  }
  const before = segments.slice(0, deep);
  const after = segments.slice(deep);
  return (path) => {
    const parts = path.split("/");
    return parts.length >= segments.length && matchAt(before, parts, 0) &&
      matchAt(after, parts, parts.length - after.length);
  };
}

function matchAt(segments: readonly Segment[], parts: readonly string[], from: number): boolean {
  return segments.every((segment, index) => matchSegment(segment, parts[from + index] ?? ""));
}

/** Greedy with one point of return, so linear in segment × text (no exponential backtracking). */
function matchSegment(segment: Segment, text: string): boolean {
  const chars = Array.from(text);
  let at = 0;
  let token = 0;
  let runToken = -1;
  let runAt = 0;
  while (at < chars.length) {
    const current = segment[token];
    if (current?.kind === "run") {
      runToken = token++;
      runAt = at;
    } else if (current !== undefined && matchChar(current, chars[at]!)) {
      token++;
      at++;
    } else if (runToken >= 0) {
      token = runToken + 1;
      at = ++runAt;
    } else {
      return false;
    }
  }
  while (segment[token]?.kind === "run") token++;
  return token === segment.length;
}

function matchChar(token: Token, char: string): boolean {
  switch (token.kind) {
    case "literal":
      return token.char === char;
    case "one":
      return true;
    case "run":
      return false;
    case "class": {
      const code = char.codePointAt(0)!;
      return token.ranges.some(([low, high]) => low <= code && code <= high) !== token.negated;
    }
  }
}

/** @returns null when malformed */
function parseSegment(text: string): Segment | null {
  if (text === "" || text.includes("**")) return null;
  const chars = Array.from(text);
  const tokens: Token[] = [];
  let at = 0;

  /** One character of a class, escapes undone; null where the class is malformed. */
  const classChar = (): number | null => {
    let char = chars[at];
    if (char === undefined || char === "-" || char === "]") return null;
    if (char === "\\") char = chars[++at];
    if (char === undefined) return null;
    at++;
    return char.codePointAt(0)!;
  };

  while (at < chars.length) {
    const char = chars[at++]!;
    if (char === "*") tokens.push({ kind: "run" });
    else if (char === "?") tokens.push({ kind: "one" });
    else if (char === "\\") {
      const literal = chars[at++];
      if (literal === undefined) return null;
      tokens.push({ kind: "literal", char: literal });
    } else if (char === "[") {
      const negated = chars[at] === "^";
      if (negated) at++;
      const ranges: [number, number][] = [];
      while (chars[at] !== "]" || ranges.length === 0) {
        const low = classChar();
        if (low === null) return null;
        let high: number | null = low;
        if (chars[at] === "-") {
          at++;
          high = classChar();
        }
        if (high === null || high < low) return null;
        ranges.push([low, high]);
      }
      at++;
      tokens.push({ kind: "class", negated, ranges });
    } else tokens.push({ kind: "literal", char });
  }
  return tokens;
}
