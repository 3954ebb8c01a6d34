// SPDX-License-Identifier: Apache-2.0

/** One call of a tool: rights first, then arguments, then the tool; and its answer in the protocol's form. */
import { safeJson } from "../lib/terminal/mod.ts";
import type { Catalog } from "./catalog.ts";
import { failureOf, McpError } from "./errors.ts";
import { tame } from "./foreign.ts";
import { CALL } from "./progressive.ts";
import type { JsonObject, Progress, Tool } from "./tool.ts";
import { checkArguments } from "./validate.ts";

/** A model reads the answer: what is longer than a book chapter helps nobody. */
export const MAX_RESULT_BYTES = 1024 * 1024;
const MAX_CALLS = 32;

export interface CallAnswer {
  [key: string]: unknown;
  content: { type: "text"; text: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
  _meta?: Record<string, unknown>;
}

export interface CallerOptions {
  readonly catalog: Catalog;
  /** Instead of the catalog's own: the three of progressive discovery. */
  readonly instead: readonly Tool[] | null;
}

/** Calls at once, of one session. */
export class Caller {
  #running = 0;
  readonly #options: CallerOptions;

  constructor(options: CallerOptions) {
    this.#options = options;
  }

  listed(): readonly Tool[] {
    // By name, as the catalog has them.
    const own = this.#options.instead?.toSorted((a, b) => a.name < b.name ? -1 : 1);
    return own ?? this.#options.catalog.visible();
  }

  /** @returns null: there is no such tool, or not for this caller */
  async call(name: string, args: JsonObject, progress: Progress): Promise<CallAnswer | null> {
    const { catalog, instead } = this.#options;
    await catalog.rights.refresh();
    const own = instead?.find((tool) => tool.name === name);
    const tool = own ?? (instead === null ? catalog.find(name) : null);
    const { failure } = catalog.rights;
    // Without knowing the rights nobody can say whether there is such a tool.
    if (tool === null) return failure === null ? null : failed(failure);
    if (this.#running >= MAX_CALLS) {
      return failed(
        new McpError("busy", `Cannot call ${name}: ${MAX_CALLS} calls run already`, {
          status: 429,
          hint: "wait until one has ended",
        }),
      );
    }
    this.#running++;
    try {
      const given = checkArguments(tool, args);
      return name === CALL && own !== undefined
        ? await this.#delegate(given, progress)
        : succeeded(tool, await tool.call(given, progress));
    } catch (thrown) {
      return failed(thrown);
    } finally {
      this.#running--;
    }
  }

  async #delegate(args: JsonObject, progress: Progress): Promise<CallAnswer> {
    const name = args["name"] as string;
    const { catalog } = this.#options;
    const tool = catalog.find(name);
    if (tool === null) {
      if (catalog.rights.failure !== null) return failed(catalog.rights.failure);
      throw new McpError("no-such-tool", `Cannot call "${name}": there is no such tool`, {
        status: 404,
        hint: "bureau_tools_list shows what there is for you",
      });
    }
    const given = checkArguments(tool, (args["arguments"] ?? {}) as JsonObject);
    return succeeded(tool, await tool.call(given, progress));
  }
}

function succeeded(tool: Tool, result: unknown): CallAnswer {
  const tamed = tame(result ?? { done: true });
  const isObject = typeof tamed === "object" && tamed !== null && !Array.isArray(tamed);
  const structured = (isObject ? tamed : { result: tamed }) as Record<string, unknown>;
  const text = safeJson(structured);
  if (text.length > MAX_RESULT_BYTES) {
    throw new McpError(
      "too-large",
      `Cannot answer ${tool.name}: its result has ${text.length} characters`,
      { status: 413, hint: "ask for less: fewer lines, one agent, a shorter time" },
    );
  }
  return { content: [{ type: "text", text }], structuredContent: structured };
}

/** Not as structured content: clients hold that against the schema of what a tool gives when it succeeds. */
export function failed(thrown: unknown): CallAnswer {
  const error = tame(failureOf(thrown));
  return {
    content: [{ type: "text", text: safeJson({ error }) }],
    isError: true,
    _meta: { "bureau/error": error },
  };
}
