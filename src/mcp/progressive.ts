// SPDX-License-Identifier: Apache-2.0

/** Three tools in the place of a hundred: look for one, read how it is called, call it. */
import { type Catalog, pageOf } from "./catalog.ts";
import { McpError } from "./errors.ts";
import { definitionOf, type JsonObject, needsYes, type Tool } from "./tool.ts";

const PAGE = 50;
const MAX_DESCRIBED = 20;

/** What a call of another tool by `bureau_tools_call` means to whoever runs calls. */
export interface Delegated {
  readonly tool: string;
  readonly args: JsonObject;
}

export const CALL = "bureau_tools_call";

export function progressiveTools(catalog: Catalog): Tool[] {
  const own = { category: "tools", openWorld: false, idempotent: true, actions: [] } as const;
  return [
    {
      ...own,
      name: "bureau_tools_list",
      title: "Find tools",
      description:
        "Find tools of Bureau: all that you may use, those of one category, or the best twenty for some words. Then bureau_tools_describe, then bureau_tools_call.",
      effect: "reads",
      inputSchema: {
        type: "object",
        properties: {
          category: { type: "string", description: "only of this category, e.g. agent, egress" },
          query: { type: "string", description: "words for what you want to do, best match first" },
          cursor: { type: "string", description: "`next` of the page before" },
        },
        required: [],
        additionalProperties: false,
      },
      call: (args) => Promise.resolve(listTools(catalog, args)),
    },
    {
      ...own,
      name: "bureau_tools_describe",
      title: "Describe tools",
      description: "Show how tools are called: parameters, results, what they do to the world.",
      effect: "reads",
      inputSchema: {
        type: "object",
        properties: {
          names: {
            type: "array",
            items: { type: "string" },
            description: "names as bureau_tools_list shows them, at most twenty",
          },
        },
        required: ["names"],
        additionalProperties: false,
      },
      call: (args) => Promise.resolve(describeTools(catalog, args["names"] as string[])),
    },
    {
      ...own,
      name: CALL,
      title: "Call a tool",
      description: "Call a tool with arguments of the form that bureau_tools_describe shows.",
      // Whether `yes` is needed, the called one says.
      effect: "changes",
      mayDestroy: true,
      idempotent: false,
      openWorld: true,
      inputSchema: {
        type: "object",
        properties: {
          name: { type: "string", description: "the tool's name" },
          arguments: { type: "object", description: "the tool's own arguments" },
        },
        required: ["name"],
        additionalProperties: false,
      },
      call: () => Promise.reject(new McpError("internal", `Cannot call ${CALL} so`)),
    },
  ];
}

function listTools(catalog: Catalog, args: JsonObject): unknown {
  const words = args["query"] as string | undefined;
  const found = catalog.search({ category: args["category"] as string | undefined, words });
  const categories = [...new Set(catalog.visible().map(({ category }) => category))];
  const brief = ({ name, title, category, effect }: Tool) => ({
    name,
    title,
    category,
    effect,
    ...(needsYes(effect) ? { needs_yes: true } : {}),
  });
  if (words !== undefined && words.trim() !== "") return { tools: found.map(brief), categories };
  const page = pageOf(found, ({ name }) => name, args["cursor"] as string | undefined, PAGE);
  if (page === null) throw new McpError("usage", "Cannot go on: that is no cursor of this list");
  return {
    tools: page.items.map(brief),
    categories,
    ...(page.next === undefined ? {} : { next: page.next }),
  };
}

function describeTools(catalog: Catalog, names: readonly string[]): unknown {
  if (names.length > MAX_DESCRIBED) {
    throw new McpError("usage", `Cannot describe more than ${MAX_DESCRIBED} tools at once`);
  }
  return {
    tools: names.map((name) => {
      const tool = catalog.find(name);
      if (tool !== null) return definitionOf(tool);
      throw new McpError("no-such-tool", `Cannot describe "${name}": there is no such tool`, {
        status: 404,
        hint: "bureau_tools_list shows what there is for you",
      });
    }),
  };
}
