// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `layout`, declared, and `dashboard`. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const SCOPE = {
  machine: {
    kind: "text",
    brief: "of what this machine runs (without any of the three: this machine)",
    placeholder: "NAME",
  },
  all: { kind: "switch", brief: "of everything in the fleet" },
} as const;
const WHOSE = {
  room: {
    kind: "text",
    brief: "of a room and who is in it: an alias, an id, or an agent's name",
    placeholder: "ROOM",
  },
  ...SCOPE,
} as const;
const source = {
  kind: "text",
  brief: "what stdin is called in messages (`sh tasks/bureau` says it)",
  placeholder: "NAME",
} as const;

export const layoutCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["dashboard"],
    tool: { none: "it needs a terminal" },
    brief: "Show many agents at once in a tmux of its own, by the layout of a room or a machine",
    docs:
      "Each pane is `bureau observe`; ctrl-a is tmux's prefix, ctrl-a d leaves, and nothing stays behind. Moving, resizing, closing and renaming " +
      "panes and windows changes the layout for everybody, and what others change is seen here at once. The last line says who waits for a person, " +
      "and how many questions about destinations are open. Needs a terminal; --json prints what it would show.",
    args: [{ name: "ROOM", brief: "a room's alias or id, or an agent's name", optional: true }],
    flags: {
      ...SCOPE,
      plan: {
        kind: "switch",
        brief: "only see whether it can be shown (used by tasks/dashboard.sh)",
      },
      control: {
        kind: "text",
        brief: "speak to tmux on stdin and stdout, panes run PROGRAM (used by tasks/dashboard.sh)",
        placeholder: "PROGRAM",
      },
    },
    examples: ["sh tasks/bureau dashboard --json", "sh tasks/bureau dashboard --all --json"],
    result: async () => (await import("./results.ts")).dashboard,
    load: async () => (await import("../dashboard/dashboard.ts")).dashboard,
  }),
  defineCommand({
    path: ["layout", "show"],
    tool: { effect: "reads" },
    brief: "Show the layout of a room, a machine or everything, as YAML",
    flags: {
      ...WHOSE,
      expanded: { kind: "switch", brief: "with the members that are there now in their places" },
    },
    examples: ["sh tasks/bureau layout show", "sh tasks/bureau layout show --all --expanded"],
    result: async () => (await import("./results.ts")).show,
    load: async () => (await import("./layout.ts")).show,
  }),
  defineCommand({
    path: ["layout", "set"],
    tool: {
      effect: "changes",
      idempotent: true,
      without: ["source"],
      text: { of: "FILE", brief: "the layout, YAML or JSON" },
    },
    brief: "Write a layout from a file; dashboards that are open follow at once",
    docs: "A layout without a window takes it away: then all that is there is shown.",
    args: [{ name: "FILE", brief: "a layout in YAML or JSON; `-` is stdin" }],
    flags: { ...WHOSE, source },
    examples: ["sh tasks/bureau layout show | sh tasks/bureau layout set -"],
    result: async () => (await import("./results.ts")).set,
    load: async () => (await import("./layout.ts")).set,
  }),
  defineCommand({
    path: ["layout", "edit"],
    tool: { none: "it needs a terminal" },
    brief: "Edit a layout in $VISUAL, $EDITOR or vi",
    docs: "A mistake is shown with its place, and the text can be edited again.",
    flags: {
      ...WHOSE,
      done: { kind: "switch", brief: "what was edited comes on stdin (used by tasks/layout.sh)" },
      source,
    },
    result: async () => (await import("./results.ts")).edit,
    load: async () => (await import("./layout.ts")).edit,
  }),
];
