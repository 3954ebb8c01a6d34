// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `environment`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const NAME = { name: "NAME", brief: "of the environment: a-z, 0-9 and -" } as const;
const FLAKE = {
  name: "FLAKE",
  brief: "a flake and its output: ./DIR#tools, github:OWNER/REPO#tools",
} as const;
const generation = {
  kind: "number",
  brief: "which one (`sh tasks/bureau` says it)",
  placeholder: "N",
} as const;
const dryRun = { kind: "switch", brief: "only say what would change" } as const;
const yes = { kind: "switch", brief: "don't ask" } as const;
const NIX = { none: "`sh tasks/bureau` has Nix do it" } as const;

export const environmentCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["environment", "list"],
    tool: { effect: "reads" },
    brief: "List the environments that were built here: generation, size, flake",
    examples: ["sh tasks/bureau environment list"],
    result: async () => (await import("./results.ts")).list,
    load: async () => (await import("./list.ts")).list,
  }),
  defineCommand({
    path: ["environment", "outputs"],
    tool: NIX,
    brief: "List what a flake offers for this machine",
    args: [{ ...FLAKE, brief: "a flake: ./DIR, github:OWNER/REPO" }],
    flags: {
      system: {
        kind: "text",
        brief: "whose packages (`sh tasks/bureau` says it)",
        placeholder: "SYSTEM",
      },
    },
    examples: ["sh tasks/bureau environment outputs ./tools"],
    result: async () => (await import("./results.ts")).outputs,
    load: async () => (await import("./list.ts")).outputs,
  }),
  defineCommand({
    path: ["environment", "build"],
    tool: NIX,
    brief: "Build a flake's output as an environment, with Nix",
    docs:
      "The closure is kept from Nix's garbage collection until `environment remove`. It must hold bin/sh and bin/script (bash and " +
      "util-linux). Built again it gets a further generation where something differs; who uses it stays with what they have.",
    args: [NAME, FLAKE],
    flags: { generation },
    examples: ["sh tasks/bureau environment build tools ./tools#default"],
    result: async () => (await import("./results.ts")).build,
    load: async () => (await import("./change.ts")).build,
  }),
  defineCommand({
    path: ["environment", "show"],
    tool: { effect: "reads" },
    brief: "Show an environment: generations, the closure's size and paths, who uses it",
    args: [NAME],
    examples: ["sh tasks/bureau environment show tools"],
    result: async () => (await import("./results.ts")).show,
    load: async () => (await import("./list.ts")).show,
  }),
  defineCommand({
    path: ["environment", "use"],
    tool: { effect: "changes", idempotent: true },
    brief: "Have a template's agents, or one agent, take their programs from an environment",
    docs:
      "Writes the closure into the template's `environment`, or into the agent's assignment, and signs what you signed before. Asks " +
      "where an agent is reached: it starts anew. Nothing of this machine's /usr is in its sandbox then.",
    args: [NAME],
    flags: {
      template: {
        kind: "texts",
        brief: "for all agents that are made of it; may be repeated",
        placeholder: "TEMPLATE",
      },
      agent: {
        kind: "texts",
        brief: "for one agent alone; may be repeated",
        placeholder: "AGENT",
        names: "agent",
      },
      all: { kind: "switch", brief: "for everybody who uses another generation of it" },
      generation: { ...generation, brief: "an older one; absent: the current one" },
      "allow-store": {
        kind: "switch",
        brief: "make /nix/store a bind root of this machine's policy, read-only",
      },
      "dry-run": dryRun,
      yes,
    },
    examples: [
      "sh tasks/bureau environment use tools --template bureau/template:reviewer --dry-run",
      "sh tasks/bureau environment use tools --agent agent/second --yes",
    ],
    result: async () => (await import("./results.ts")).use,
    load: async () => (await import("./change.ts")).use,
  }),
  defineCommand({
    path: ["environment", "update"],
    tool: NIX,
    brief: "Build an environment's flake as it is now, and give that to all who use it",
    docs:
      "Shows what differs, package by package, and asks where an agent is reached. A flake's inputs are what its lock file says: " +
      "`nix flake update` moves those. Declined, or with --dry-run, the new generation is gone again.",
    args: [NAME],
    flags: { generation, "dry-run": dryRun, yes },
    examples: ["sh tasks/bureau environment update tools --dry-run"],
    result: async () => (await import("./results.ts")).update,
    load: async () => (await import("./change.ts")).update,
  }),
  defineCommand({
    path: ["environment", "rollback"],
    tool: { effect: "changes" },
    brief: "Go back to the generation before, for all who use the environment",
    args: [NAME],
    flags: {
      to: { kind: "number", brief: "another generation", placeholder: "N" },
      "dry-run": dryRun,
      yes,
    },
    examples: ["sh tasks/bureau environment rollback tools --dry-run"],
    result: async () => (await import("./results.ts")).rollback,
    load: async () => (await import("./change.ts")).rollback,
  }),
  defineCommand({
    path: ["environment", "remove"],
    tool: { effect: "destroys", idempotent: true },
    destroys: true,
    brief: "Let Nix's garbage collection take an environment that nobody uses",
    args: [NAME],
    flags: {
      old: { kind: "switch", brief: "only generations that are neither current nor used" },
    },
    examples: ["sh tasks/bureau environment remove tools --old --dry-run"],
    result: async () => (await import("./results.ts")).remove,
    load: async () => (await import("./change.ts")).remove,
  }),
];
