// SPDX-License-Identifier: Apache-2.0

/** `sandbox run` and `sandbox check`, declared: they start a launcher of their own. */
import { PRINCIPAL } from "../arguments.ts";
import { type CommandSpec, defineCommand, type FlagSpec } from "../framework/command.ts";

/** What a sandbox is made of; of `worker run` too. */
export const SANDBOX_FLAGS: Readonly<Record<string, FlagSpec>> = {
  template: {
    kind: "text",
    brief: "a built-in template",
    placeholder: "NAME",
    default: "base",
  },
  rw: {
    kind: "texts",
    brief: "bind a directory or file writable, at the same path or at DEST; may be repeated",
    placeholder: "PATH[:DEST]",
  },
  ro: {
    kind: "texts",
    brief: "the same, read-only",
    placeholder: "PATH[:DEST]",
  },
  "allow-host": {
    kind: "texts",
    brief:
      "let it reach HOST (port 443 unless named), *.HOST, or the hosts of a preset; may be repeated",
    placeholder: "HOST[:PORT]|preset:NAME",
  },
  credential: {
    kind: "texts",
    brief:
      "the variable NAME holds a placeholder, for which the proxy puts what is in FILE, in requests to HOST alone",
    placeholder: "NAME=FILE@HOST[,HOST]",
  },
  ca: {
    kind: "text",
    brief: "PEM of an authority for the hosts of --credential, instead of the system's",
    placeholder: "FILE",
  },
  sockets: {
    kind: "text",
    brief: "a directory for sockets (`sh tasks/bureau` makes it)",
    placeholder: "DIR",
  },
  here: {
    kind: "text",
    brief: "where you stand (`sh tasks/bureau` says it)",
    placeholder: "DIR",
  },
};

export const sandboxCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["sandbox", "explain"],
    tool: { effect: "reads" },
    brief: "Say in words what an agent, or a template, sees, may write, and can't do",
    docs:
      "Makes the same plan as the launcher, without starting anything. A template's variables that aren't given are shown as ${NAME}.",
    args: [{ name: "SUBJECT", brief: "an agent's name, or a template ROOM:NAME" }],
    flags: {
      var: {
        kind: "texts",
        brief: "a template variable, NAME=VALUE; may be repeated",
        placeholder: "NAME=VALUE",
      },
    },
    examples: [
      "sh tasks/bureau sandbox explain agent/scribe",
      "sh tasks/bureau sandbox explain bureau/template:agent --json",
    ],
    result: async () => (await import("./results.ts")).explain,
    load: async () => (await import("./explain.ts")).explain,
  }),
  defineCommand({
    path: ["sandbox", "run"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Run a command in a sandbox like an agent's, without homeserver or daemon",
    docs:
      "The command sees the host's programs, an empty /tmp and /workspace, and what --rw and --ro name; it starts where you " +
      "stand, if one of them holds that. On a terminal it gets a terminal of its own; else your pipes. Its exit status is " +
      "this command's; 125 means that no sandbox could be made. Options of the command itself stand behind `--`.",
    args: [{ name: "COMMAND", brief: "the program and its arguments", optional: true }],
    variadic: true,
    flags: {
      ...SANDBOX_FLAGS,
      terminal: {
        kind: "switch",
        brief: "stdin and stdout are a terminal (`sh tasks/bureau` says it)",
      },
    },
    examples: [
      "sh tasks/bureau sandbox run -- id",
      "sh tasks/bureau sandbox run --ro docs:/docs -- ls /docs",
      "sh tasks/bureau sandbox run --allow-host preset:npm --rw . -- npm install",
      "sh tasks/bureau sandbox run --credential GH_TOKEN=token.txt@api.github.com -- gh api user",
    ],
    raw: "what the program in the sandbox writes",
    load: async () => (await import("./run.ts")).run,
  }),
  defineCommand({
    path: ["sandbox", "check"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Try what a sandbox must refuse, from inside one",
    docs:
      "Without NAME in a fresh sandbox; with NAME in a second one beside that agent's, made from the very arguments of its own " +
      "(the same binds and sockets; processes and terminal apart, and without the probes that would disturb it). Exit status 1 " +
      "when a probe got out.",
    args: [{ ...PRINCIPAL, optional: true }],
    flags: {
      scratch: {
        kind: "text",
        brief: "an empty directory to try writable binds with (`sh tasks/bureau` makes it)",
        placeholder: "DIR",
      },
      report: {
        kind: "switch",
        brief: "show the launcher's report from stdin (`sh tasks/bureau` does)",
      },
    },
    examples: ["sh tasks/bureau sandbox check", "sh tasks/bureau sandbox check --json"],
    result: async () => (await import("../../launcher/api.ts")).CheckReport,
    load: async () => (await import("./check.ts")).check,
  }),
];
