// SPDX-License-Identifier: Apache-2.0

/** What this process's terminal can show. Nothing is assumed of it until the command line looks (`lookAtScreen`). */

export interface Screen {
  /** Null: as wide as it needs; a file, or a program that reads. */
  readonly columns: number | null;
  readonly color: boolean;
}

export const PLAIN: Screen = { columns: null, color: false };

export interface Surroundings {
  readonly isTerminal: boolean;
  /** Of the terminal, where it is one. */
  readonly width: () => number;
  readonly env: (name: "COLUMNS" | "FORCE_COLOR" | "NO_COLOR" | "TERM") => string | undefined;
}

/** https://no-color.org and https://force-color.org: set, and not empty. The first is the stronger. */
export function screenOf({ isTerminal, width, env }: Surroundings): Screen {
  const forced = env("FORCE_COLOR") ?? "";
  const wished = forced === "" ? isTerminal && env("TERM") !== "dumb" : forced !== "0";
  return {
    columns: columnsOf(env("COLUMNS")) ?? (isTerminal ? columnsOf(String(width())) : null),
    color: wished && (env("NO_COLOR") ?? "") === "",
  };
}

/** A terminal without a size says 0. */
function columnsOf(text: string | undefined): number | null {
  return text !== undefined && /^[1-9]\d{0,3}$/.test(text) ? Number(text) : null;
}

let current = PLAIN;

/** The screen of whatever is printed now. */
export const screen = (): Screen => current;

export function useScreen(next: Screen): void {
  current = next;
}

export function screenAt(stream: { isTerminal(): boolean }): Screen {
  return screenOf({
    isTerminal: stream.isTerminal(),
    width: () => Deno.consoleSize().columns,
    env: (name) => Deno.env.get(name),
  });
}

export function lookAtScreen(): void {
  useScreen(screenAt(Deno.stdout));
}

export type Tone = "bad" | "good" | "heading" | "warn";

const SGR: Readonly<Record<Tone, string>> = { bad: "31", good: "32", heading: "1", warn: "33" };

/** What it says must be in its words: color is nobody's only way to know. */
export function paint(text: string, tone: Tone, { color }: Screen = current): string {
  return color && text !== "" ? `\x1b[${SGR[tone]}m${text}\x1b[0m` : text;
}
