// SPDX-License-Identifier: Apache-2.0

/** All tools there are, and which of them a caller sees: filtered first, then searched and cut into pages. */
import { type Document, SearchIndex } from "../lib/search/mod.ts";
import type { Rights } from "./rights.ts";
import type { Tool } from "./tool.ts";

export const SEARCH_LIMIT = 20;

export interface Query {
  readonly category?: string | undefined;
  /** Absent or empty: all, by name. */
  readonly words?: string | undefined;
}

export class Catalog {
  readonly #source: () => readonly Tool[];
  readonly #rights: Rights;
  #known: readonly Tool[] | null = null;
  #byName: ReadonlyMap<string, Tool> = new Map();

  /** @param tools names differ; as a function: those there are at that moment, another array when they are others */
  constructor(tools: readonly Tool[] | (() => readonly Tool[]), rights: Rights) {
    this.#source = typeof tools === "function" ? tools : () => tools;
    this.#rights = rights;
  }

  get #tools(): ReadonlyMap<string, Tool> {
    const now = this.#source();
    if (now !== this.#known) {
      const sorted = [...now].sort((a, b) => a.name < b.name ? -1 : 1);
      this.#byName = new Map(sorted.map((tool) => [tool.name, tool]));
      this.#known = now;
    }
    return this.#byName;
  }

  get rights(): Rights {
    return this.#rights;
  }

  #isVisible(tool: Tool): boolean {
    return tool.actions.every((action) => this.#rights.may(action));
  }

  /** By name. */
  visible(): Tool[] {
    return [...this.#tools.values()].filter((tool) => this.#isVisible(tool));
  }

  /** Null for one that isn't there and for one that the caller may not use: it is told no difference. */
  find(name: string): Tool | null {
    const tool = this.#tools.get(name);
    return tool !== undefined && this.#isVisible(tool) ? tool : null;
  }

  /** Of what the caller may use: the best twenty of those, never what is left of others' best. */
  search({ category, words = "" }: Query): Tool[] {
    const candidates = this.visible().filter((tool) =>
      category === undefined || tool.category === category
    );
    if (words.trim() === "") return candidates;
    const index = new SearchIndex(candidates.map(documentOf));
    return index.search(words, SEARCH_LIMIT).map(({ name }) => this.#tools.get(name)!);
  }
}

function documentOf(tool: Tool): Document {
  const parameters = Object.entries(tool.inputSchema.properties);
  return {
    name: tool.name,
    fields: [
      { text: tool.name, weight: 3 },
      { text: tool.description, weight: 2 },
      { text: parameters.map(([name]) => name).join(" "), weight: 2 },
      { text: parameters.map(([, { description }]) => description).join(" "), weight: 1 },
    ],
  };
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next?: string;
}

/**
 * A page of what is sorted by name. The cursor says behind which name it goes on, so what comes or goes
 * between two pages neither hides nor doubles another.
 * @returns null: that is no cursor of ours
 */
export function pageOf<T>(
  sorted: readonly T[],
  nameOf: (item: T) => string,
  cursor: string | undefined,
  size: number,
): Page<T> | null {
  let after = "";
  if (cursor !== undefined) {
    const match = /^after:(.+)$/s.exec(decode(cursor));
    if (match === null) return null;
    after = match[1]!;
  }
  const rest = sorted.filter((item) => nameOf(item) > after);
  const items = rest.slice(0, size);
  return rest.length <= size
    ? { items }
    : { items, next: btoa(`after:${encodeURIComponent(nameOf(items.at(-1)!))}`) };
}

function decode(cursor: string): string {
  try {
    return decodeURIComponent(atob(cursor));
  } catch {
    return "";
  }
}
