// SPDX-License-Identifier: Apache-2.0

/** What a screen looks like. Everything on it is hostile: patterns take time that grows with the screen, and no more. */
import { neutraliseLine } from "../../lib/terminal/neutralise.ts";
import { type LinearRegex, parseRegex } from "../../lib/regex/mod.ts";
import { LAST_LINES, type Pattern, PATTERNS } from "./patterns.ts";

/** Of a line, what is matched and what is told. */
const MAX_LINE = 200;
/** Of a template. */
export const MAX_PATTERNS = 16;

export interface Screen {
  lines(): string[];
  cursor(): { readonly x: number; readonly y: number; readonly visible: boolean };
}

export interface Looks {
  readonly means: "waiting" | "idle";
  readonly kind: Pattern["kind"];
  /** What was found, made harmless. */
  readonly line: string;
}

interface Compiled extends Pattern {
  readonly regex: LinearRegex;
}

let compiled: readonly Compiled[] | null = null;

function builtIn(): readonly Compiled[] {
  return compiled ??= PATTERNS.map((one) => ({ ...one, regex: parseRegex(one.pattern) }));
}

/** @param patterns of a template; what is no pattern is left out: `template validate` tells of it */
export function compileWaiting(patterns: readonly unknown[]): readonly Compiled[] {
  return patterns.slice(0, MAX_PATTERNS).flatMap((pattern) => {
    try {
      const regex = parseRegex(String(pattern));
      const kind = "template" as const;
      return [
        { kind, means: "waiting", where: "screen", pattern: String(pattern), regex } as const,
      ];
    } catch {
      return [];
    }
  });
}

/** What stands in a line, without the frame that programs draw around it. */
export function content(line: string): string {
  const frame = "[\\s\\u2500-\\u259f|]";
  const plain = line.replace(new RegExp(`^${frame}+`, "u"), "").trimEnd();
  return plain.replace(/[\u2500-\u259f|]+$/u, "").trimEnd();
}

export function shown(line: string): string {
  const points = [...neutraliseLine(line)];
  return points.length > MAX_LINE ? points.slice(0, MAX_LINE - 1).join("") + "…" : points.join("");
}

/** The last line with a letter or a digit on it; empty: there is none. */
export function lastLine(lines: readonly string[]): string {
  const found = lines.findLast((line) => /[\p{L}\p{N}]/u.test(line));
  return found === undefined ? "" : shown(content(found));
}

/** @returns null: like nothing that is known */
export function look(screen: Screen, own: readonly Compiled[] = []): Looks | null {
  const lines = screen.lines();
  const { x, y } = screen.cursor();
  const under = lines[y] ?? "";
  // Cells and characters differ where characters are wide: then there is more of the line than too little.
  const cursor = under.slice(0, x >= under.length ? under.length : x).trimEnd().slice(-MAX_LINE);
  const last = lines.filter((line) => line.trim() !== "").slice(-LAST_LINES)
    .map((line) => line.slice(0, MAX_LINE));
  const found = (patterns: readonly Compiled[], means: Pattern["means"]): Looks | null => {
    for (const { kind, means: one, where, regex } of patterns) {
      if (one !== means) continue;
      const line = where === "cursor"
        ? (regex.test(cursor) ? cursor : undefined)
        : last.findLast((each) => regex.test(each));
      if (line === undefined) continue;
      return { means: means as Looks["means"], kind, line: shown(content(line)) };
    }
    return null;
  };
  const mine = found(own, "waiting");
  if (mine !== null) return mine;
  if (found(builtIn(), "working") !== null) return null;
  return found(builtIn(), "waiting") ?? found(builtIn(), "idle");
}
