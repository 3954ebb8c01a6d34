// SPDX-License-Identifier: Apache-2.0

/** `agent diff`, `log`, `merge`, `discard`, declared. */
import { AGENT } from "../../arguments.ts";
import { type CommandSpec, defineCommand, type FlagSpec } from "../../framework/command.ts";

const WORK: FlagSpec = {
  kind: "switch",
  brief: "what a cell says of the work comes on stdin (`sh tasks/bureau` has it made)",
};
/** Of what asks or warns first. */
export const LOOK: Readonly<Record<"work" | "look", FlagSpec>> = {
  work: WORK,
  look: { kind: "switch", brief: "only look at the work (`sh tasks/bureau` does, first)" },
};
const REF: FlagSpec = {
  kind: "text",
  brief: "another branch of the agent's, instead of the one that it has checked out",
  placeholder: "BRANCH",
};

export const workCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["agent", "diff"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Show what an agent changed in its clone, committed or not",
    docs:
      "Since its branch left the source's. What it wrote is read in a throw-away cell, as data: nothing that it put into its repository runs. " +
      "It may run meanwhile, be stopped, or destroyed.",
    args: [AGENT],
    flags: {
      stat: { kind: "switch", brief: "files and lines alone" },
      committed: { kind: "switch", brief: "without what it has not committed" },
      ref: REF,
      work: WORK,
    },
    result: async () => (await import("../results.ts")).diff,
    load: async () => (await import("./diff.ts")).diff,
  }),
  defineCommand({
    path: ["agent", "log"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Show the commits of an agent that its source lacks, newest first",
    args: [AGENT],
    flags: {
      limit: { kind: "text", brief: "at most so many", placeholder: "N", default: "50" },
      ref: REF,
      work: WORK,
    },
    result: async () => (await import("../results.ts")).log,
    load: async () => (await import("./diff.ts")).log,
  }),
  defineCommand({
    path: ["agent", "merge"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Bring an agent's commits into a branch of the repository that it was cloned from",
    docs:
      "Moves one branch there, forward or to a merge commit, or changes nothing: not with a conflict, and not where the branch is checked out with " +
      "changes of your own. A clean checkout is updated with it. No hook of the repository runs.",
    args: [AGENT],
    flags: {
      into: {
        kind: "text",
        brief: "the branch; the one that it began from unless named. A new name makes a branch",
        placeholder: "BRANCH",
      },
      squash: { kind: "switch", brief: "as one commit" },
      message: { kind: "text", brief: "of that commit, or of the merge", placeholder: "TEXT" },
      "include-uncommitted": {
        kind: "switch",
        brief: "commit what it has not committed, in your repository, as the agent",
      },
      as: {
        kind: "text",
        brief: "who merges (`sh tasks/bureau` says it, as your git does)",
        placeholder: "NAME <EMAIL>",
      },
      ref: REF,
      work: WORK,
    },
    result: async () => (await import("../results.ts")).merge,
    load: async () => (await import("./merge.ts")).merge,
  }),
  defineCommand({
    path: ["agent", "discard"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    destroys: true,
    brief: "Throw away an agent's clone; one that is still assigned gets a new one",
    docs: "The agent must be stopped (`agent drain`) or destroyed. Its room and messages stay.",
    args: [AGENT],
    flags: LOOK,
    result: async () => (await import("../results.ts")).discard,
    load: async () => (await import("./discard.ts")).discard,
  }),
];
