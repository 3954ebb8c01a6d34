// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `log`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const NAME = {
  name: "NAME",
  brief: "`scribe`, `agent/scribe`, or the full name; also of one that is gone",
  names: "principal",
} as const;
const ID = {
  name: "ID",
  brief: "a recording or its beginning, a session (all of its parts), or `all`; absent: the newest",
  optional: true,
} as const;

export const logCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["log", "list"],
    tool: { effect: "reads" },
    brief: "List the recordings of an agent's terminal; without a name, whose there are",
    args: [{ ...NAME, optional: true }],
    examples: ["sh tasks/bureau log list", "sh tasks/bureau log list agent/scribe"],
    result: async () => (await import("./results.ts")).list,
    load: async () => (await import("./list.ts")).list,
  }),
  defineCommand({
    path: ["log", "show"],
    tool: { effect: "reads" },
    brief: "Print what happened on an agent's terminal, as plain text",
    docs: "What stood there while it rested, each line once. What a program drew over within a " +
      "second is only in `play`.",
    args: [NAME, ID],
    flags: {
      times: { kind: "switch", brief: "each line with its time" },
      markers: {
        kind: "switch",
        brief: "only its markers: who watched and typed, when it needed a person, how it ended",
      },
    },
    examples: [
      "sh tasks/bureau log show agent/scribe",
      "sh tasks/bureau log show agent/scribe --markers",
    ],
    result: async () => (await import("./results.ts")).show,
    load: async () => (await import("./show.ts")).show,
  }),
  defineCommand({
    path: ["log", "tail"],
    tool: { none: "it goes on until it is stopped; `log show` ends" },
    brief: "Print what happens on an agent's terminal as plain text, until ctrl-c",
    docs:
      "Goes on with the next recording, also when the agent is started anew. A recording is some " +
      "seconds behind where the agent has secrets.",
    args: [NAME],
    flags: {
      times: { kind: "switch", brief: "each line with its time" },
      lines: {
        kind: "text",
        brief: "begin with the last so many; default 10",
        placeholder: "COUNT",
      },
    },
    line: async () => (await import("./results.ts")).Line,
    load: async () => (await import("./tail.ts")).tail,
  }),
  defineCommand({
    path: ["log", "export"],
    tool: { none: "it writes the bytes of a recording; `log show` is its text" },
    brief: "Write a recording to standard output",
    docs:
      "`asciicast` is version 3 of the format, which asciinema plays from its version 3.0 on. It and " +
      "`raw` are what the agent showed, escape sequences and all: play asciicasts with `log play`, " +
      "which lets nothing dangerous through.",
    args: [NAME, ID],
    flags: {
      format: {
        kind: "text",
        brief: "`asciicast` (the default), `text` as `log show`, or `raw` terminal bytes",
        placeholder: "FORMAT",
      },
    },
    examples: ["sh tasks/bureau log export agent/scribe --format text"],
    raw: "the recording, in the format that is asked for",
    load: async () => (await import("./export.ts")).exportRecording,
  }),
  defineCommand({
    path: ["log", "play"],
    tool: { none: "it needs a terminal" },
    brief: "Play a recording in this terminal; NAME may be a file that ends in .cast",
    docs:
      "Space pauses, the arrows go 10 seconds back and forth (up and down a minute), + and - change " +
      "the speed, n and p go to the next marker and the one before, q leaves.",
    args: [NAME, ID],
    flags: {
      speed: { kind: "text", brief: "0.1 to 100; default 1", placeholder: "FACTOR" },
      "idle-limit": {
        kind: "text",
        brief: "pauses last so many seconds at most; default 2, 0: as they were",
        placeholder: "SECONDS",
      },
      from: { kind: "text", brief: "begin there: 90s, 5m, 1h", placeholder: "TIME" },
      "to-marker": {
        kind: "text",
        brief: "begin at a marker: its number, or words in it (`needs a person`)",
        placeholder: "MARKER",
      },
    },
    raw: "it needs a terminal",
    load: async () => (await import("./play.ts")).play,
  }),
];
