// SPDX-License-Identifier: Apache-2.0

/** asciicast v3 (https://docs.asciinema.org/manual/asciicast/v3/), as the daemon sends it. */

export interface CastEvent {
  /** Milliseconds since the beginning. */
  readonly at: number;
  /** Output, another size, a mark of something that happened, or the end. */
  readonly code: "o" | "r" | "m" | "x";
  readonly data: string;
}

export interface Cast {
  readonly cols: number;
  readonly rows: number;
  readonly events: readonly CastEvent[];
  /** Milliseconds. */
  readonly length: number;
}

const MAX_SIDE = 1000;

/** What comes after a damaged line is left out. @returns null for what is no recording */
export function parseCast(text: string): Cast | null {
  const lines = text.split("\n");
  const header = parse(lines[0] ?? "") as
    | { version?: unknown; term?: { cols?: unknown; rows?: unknown } }
    | null;
  const { cols, rows } = header?.term ?? {};
  if (header?.version !== 3 || !isSide(cols) || !isSide(rows)) return null;
  const events: CastEvent[] = [];
  let at = 0;
  for (const line of lines.slice(1)) {
    if (line === "" || line.startsWith("#")) continue;
    const event = parse(line);
    if (!Array.isArray(event)) break;
    const [seconds, code, data] = event as unknown[];
    if (typeof seconds !== "number" || !(seconds >= 0) || typeof data !== "string") break;
    at += seconds * 1000;
    if (code === "o" || code === "r" || code === "m" || code === "x") {
      events.push({ at, code, data });
    }
  }
  return { cols, rows, events, length: at };
}

/** `80x24`. */
export function parseSize(text: string): { cols: number; rows: number } | null {
  const [, cols, rows] = /^(\d{1,4})x(\d{1,4})$/.exec(text)?.map(Number) ?? [];
  return isSide(cols) && isSide(rows) ? { cols, rows } : null;
}

const isSide = (value: unknown): value is number =>
  typeof value === "number" && value >= 1 && value <= MAX_SIDE;

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/** Where a player stands in a recording; what it draws is handed over in order. */
export class Reel {
  readonly #cast: Cast;
  /** Of the next event. */
  #next = 0;
  #position = 0;

  constructor(cast: Cast) {
    this.#cast = cast;
  }

  get position(): number {
    return this.#position;
  }

  get isOver(): boolean {
    return this.#position >= this.#cast.length;
  }

  /** How long nothing happens from here on; null: nothing does any more. */
  get pause(): number | null {
    const next = this.#cast.events[this.#next];
    return next === undefined ? null : next.at - this.#position;
  }

  /** @returns what brings the screen from where it is to `to`: `reset` first where that is in the past */
  moveTo(to: number): (
    | { readonly kind: "reset" | "size"; readonly cols: number; readonly rows: number }
    | { readonly kind: "draw"; readonly text: string }
  )[] {
    const { events, length, cols, rows } = this.#cast;
    const steps: ReturnType<Reel["moveTo"]> = [];
    const target = Math.max(0, Math.min(to, length));
    if (target < this.#position || this.#next === 0) {
      this.#next = 0;
      steps.push({ kind: "reset", cols, rows });
    }
    this.#position = target;
    let text = "";
    const flush = () => {
      if (text !== "") steps.push({ kind: "draw", text });
      text = "";
    };
    for (; this.#next < events.length && events[this.#next]!.at <= target; this.#next++) {
      const { code, data } = events[this.#next]!;
      if (code === "o") text += data;
      const size = code === "r" ? parseSize(data) : null;
      if (size === null) continue;
      flush();
      steps.push({ kind: "size", ...size });
    }
    flush();
    return steps;
  }
}
