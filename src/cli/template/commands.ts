// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `template`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const REF = {
  name: "TEMPLATE",
  brief: "ROOM:NAME, for example `bureau/template:agent`; of another server ROOM@SERVER:NAME",
} as const;
const FILE = { name: "FILE", brief: "a template in YAML or JSON; `-` is stdin" } as const;
const SIDE = { name: "TEMPLATE", brief: "ROOM:NAME, or a file in YAML or JSON" } as const;

const source = {
  kind: "text",
  brief: "what stdin is called in messages (`sh tasks/bureau` says it)",
  placeholder: "NAME",
} as const;
const dryRun = {
  kind: "switch",
  brief: "only say what would be written, and what would follow",
} as const;

export const templateCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["template", "list"],
    tool: { effect: "reads" },
    brief:
      "List the templates of all rooms: digest, who wrote them, when, whether they are built in",
    docs:
      "The digest is of the template with all it inherits: what an assignment's signature covers.",
    examples: ["sh tasks/bureau template list"],
    result: async () => (await import("./results.ts")).list,
    load: async () => (await import("./list.ts")).list,
  }),
  defineCommand({
    path: ["template", "show"],
    tool: { effect: "reads" },
    brief: "Show a template as it was written, or with all it inherits",
    args: [REF],
    flags: {
      resolved: {
        kind: "switch",
        brief: "with all it inherits, each field with the template that said it",
      },
    },
    examples: [
      "sh tasks/bureau template show bureau/template:agent",
      "sh tasks/bureau template show bureau/template:agent --resolved",
    ],
    result: async () => (await import("./results.ts")).show,
    load: async () => (await import("./list.ts")).show,
  }),
  defineCommand({
    path: ["template", "diff"],
    tool: { effect: "reads", without: ["source"] },
    brief: "Show what differs between two templates, or between one and a file",
    args: [SIDE, { ...SIDE, name: "OTHER" }],
    flags: { resolved: { kind: "switch", brief: "with all they inherit" }, source },
    examples: [
      "sh tasks/bureau template diff bureau/template:base bureau/template:agent --resolved",
    ],
    result: async () => (await import("./results.ts")).diff,
    load: async () => (await import("./diff.ts")).diff,
  }),
  defineCommand({
    path: ["template", "validate"],
    tool: {
      effect: "reads",
      without: ["source"],
      text: { of: "FILE", brief: "the template, YAML or JSON" },
    },
    brief: "Check a template's file: every mistake, with its line and column",
    docs:
      "Asks nobody; what is inherited is looked at when it is pushed. Ends with status 1 when there is a mistake; a warning is none.",
    args: [FILE],
    flags: { source },
    examples: ["sh tasks/bureau template validate reviewer.yaml"],
    result: async () => (await import("./results.ts")).validate,
    load: async () => (await import("./validate.ts")).validate,
  }),
  defineCommand({
    path: ["template", "push"],
    tool: {
      effect: "changes",
      idempotent: true,
      without: ["source"],
      text: { of: "FILE", brief: "the template, YAML or JSON" },
    },
    brief: "Write a template's file into a room",
    docs:
      "Refuses mistakes, parents that are not there and loops. Says whose assignment must be signed again: until then a " +
      "running agent goes on as it is, and none is started from the changed template.",
    args: [FILE, REF],
    flags: { "dry-run": dryRun, source },
    examples: [
      "sh tasks/bureau template push reviewer.yaml bureau/template:reviewer --dry-run",
      "sh tasks/bureau template push reviewer.yaml bureau/template:reviewer",
    ],
    result: async () => (await import("./results.ts")).push,
    load: async () => (await import("./push.ts")).push,
  }),
  defineCommand({
    path: ["template", "publish"],
    tool: { effect: "changes", idempotent: true },
    brief: "Write this version's built-in templates into their room",
    flags: { "dry-run": dryRun },
    examples: ["sh tasks/bureau template publish"],
    result: async () => (await import("./results.ts")).publish,
    load: async () => (await import("./push.ts")).publish,
  }),
  defineCommand({
    path: ["template", "update"],
    tool: { effect: "changes", idempotent: true },
    brief:
      "Bring built-in templates that are behind this version up to it, and say whom that changes",
    flags: { "dry-run": dryRun },
    examples: ["sh tasks/bureau template update --dry-run"],
    result: async () => (await import("./results.ts")).update,
    load: async () => (await import("./push.ts")).update,
  }),
  defineCommand({
    path: ["template", "impact"],
    tool: { effect: "reads", without: ["resign"] },
    brief: "Show which agents are made of a template, and which must be signed again",
    docs:
      "An assignment's signature covers its template with all that inherits; a change of one of them is nothing to a machine until " +
      "an operator signs it. --resign does so, of assignments that you signed before. Ends with status 1 when one could not be.",
    args: [REF],
    flags: { resign: { kind: "switch", brief: "sign what must be, with your key" } },
    examples: [
      "sh tasks/bureau template impact bureau/template:base",
      "sh tasks/bureau template impact bureau/template:base --resign",
    ],
    result: async () => (await import("./results.ts")).impact,
    load: async () => (await import("./impact.ts")).impact,
  }),
];
