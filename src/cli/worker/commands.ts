// SPDX-License-Identifier: Apache-2.0

/** The commands about workers, declared. Some start a parent of their own; the others ask the host that stays. */
import { type CommandSpec, defineCommand, type FlagSpec } from "../framework/command.ts";
import { SANDBOX_FLAGS } from "../sandbox/commands.ts";

const HOST: Readonly<Record<string, FlagSpec>> = {
  host: {
    kind: "text",
    brief: "where the host of your workers is (`sh tasks/bureau` says it)",
    placeholder: "DIR",
  },
};

/** What a worker is. */
const WORKER: Readonly<Record<string, FlagSpec>> = {
  executor: {
    kind: "text",
    brief: "the engine: echo, cli_adapter or bamboo_runtime",
    placeholder: "KIND",
  },
  role: { kind: "text", brief: "what the worker is, e.g. researcher", placeholder: "ROLE" },
  model: { kind: "text", brief: "the model, and nothing else", placeholder: "PROVIDER/MODEL" },
  timeout: { kind: "number", brief: "seconds for a run, at most", placeholder: "N" },
  rounds: { kind: "number", brief: "answers of the model in a run, at most", placeholder: "N" },
  "disable-tool": { kind: "texts", brief: "hide this tool; may be repeated", placeholder: "NAME" },
  spec: {
    kind: "text",
    brief: "a provision spec (JSON) to start from; its fabric_dir and child_id are replaced",
    placeholder: "FILE",
  },
  runtime: {
    kind: "text",
    brief: "where Bureau's own programs are (`sh tasks/bureau` says it)",
    placeholder: "DIR",
  },
  ...HOST,
  ...SANDBOX_FLAGS,
};

const FABRIC: Readonly<Record<string, FlagSpec>> = {
  fabric: {
    kind: "text",
    brief: "a directory for the workers (`sh tasks/bureau` makes it)",
    placeholder: "DIR",
  },
};

/** What no worker of another's is given more than; who it is, its own parent says. */
const { role: _role, ...CEILING } = WORKER;

/** And what it gets to do. */
const RUN: Readonly<Record<string, FlagSpec>> = {
  assignment: {
    kind: "text",
    brief: "what it is to do; without it, what comes on stdin",
    placeholder: "TEXT",
  },
  ask: {
    kind: "text",
    brief:
      "who is asked when the worker needs leave for a tool call: terminal (here; where there is one), room (the machine's room in Matrix) or nobody",
    placeholder: "WHERE",
  },
  mcp: {
    kind: "text",
    brief:
      'a file {"mcpServers": {…}}: servers whose tools bamboo_runtime gets, each in a sandbox of its own beside the worker\'s',
    placeholder: "FILE",
  },
  mail: {
    kind: "text",
    brief: "a directory for their mail (`sh tasks/bureau` makes it)",
    placeholder: "DIR",
  },
  approver: {
    kind: "text",
    brief: "a socket at which people are asked (`sh tasks/bureau` makes it)",
    placeholder: "SOCKET",
  },
  ...FABRIC,
  ...WORKER,
};

const COMMAND = {
  name: "COMMAND",
  brief: "a command-line agent and its arguments, which reads the assignment on stdin",
  optional: true,
} as const;

const PREPARED = { none: "`sh tasks/bureau` prepares what it needs" } as const;

export const workerCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["worker", "run"],
    tool: PREPARED,
    brief: "Give one assignment to a worker in a sandbox of its own",
    docs:
      "The worker gets a provision spec on its standard input, and nothing by its arguments or environment. Its sandbox is that of `sandbox run`. " +
      "With --worker or --pool it is one that `worker spawn` has started, and stays; with --pool and what a worker is, or with a spec whose placement is schedulable, one " +
      "of the pool that was made with the same, or none. With --remote it is on a machine where `worker serve` runs, in a sandbox there. With --json each event and the outcome is a line of JSON. Ends with status 1 unless the run was completed.",
    args: [COMMAND],
    variadic: true,
    flags: {
      worker: { kind: "text", brief: "a worker that was spawned", placeholder: "NAME" },
      pool: { kind: "text", brief: "the next worker of this pool", placeholder: "NAME" },
      remote: {
        kind: "text",
        brief: "a machine where `worker serve` runs",
        placeholder: "wss://HOST:PORT",
      },
      pin: {
        kind: "text",
        brief: "the certificate there, as `worker serve` printed it",
        placeholder: "sha256:…",
      },
      "token-file": { kind: "text", brief: "the token of there", placeholder: "FILE" },
      ...RUN,
    },
    examples: [
      'sh tasks/bureau worker run --assignment "say this back"',
      'sh tasks/bureau worker run --json --assignment "say this back"',
      'sh tasks/bureau worker run --ro docs:/docs --assignment "guide" -- grep -rlF -f - /docs',
    ],
    line: async () => (await import("./results.ts")).Line,
    load: async () => (await import("./run.ts")).run,
  }),
  defineCommand({
    path: ["worker", "approver"],
    brief: "Ask people for the parent of their workers (used by `sh tasks/bureau`)",
    hidden: true,
    flags: {
      ask: { kind: "text", brief: "terminal or room", placeholder: "WHERE" },
      socket: { kind: "text", brief: "where the parent asks", placeholder: "SOCKET" },
      parent: { kind: "number", brief: "its process: this ends with it", placeholder: "PID" },
    },
    load: async () => (await import("./approver.ts")).approver,
  }),
  defineCommand({
    path: ["worker", "pool"],
    tool: PREPARED,
    brief: "Give each line of stdin as an assignment to a few warm workers",
    docs:
      "A worker that ended a run well is used again; each other one is ended. Results come in the order of the assignments.",
    args: [COMMAND],
    variadic: true,
    flags: {
      size: {
        kind: "number",
        brief: "workers at a time, 1 to 8",
        placeholder: "N",
        default: "4",
      },
      ...RUN,
    },
    examples: ["seq 20 | sh tasks/bureau worker pool --size 2"],
    line: async () => (await import("./results.ts")).Line,
    load: async () => (await import("./run.ts")).pool,
  }),
  defineCommand({
    path: ["worker", "serve"],
    tool: PREPARED,
    brief: "Take workers for parents on other machines, each in a sandbox of its own here",
    docs:
      "Prints where it listens, its certificate's fingerprint, and, when it is made, the token; both stay the same. What --spec and the other flags say is what no worker here " +
      "gets more than: shorter limits count, tools stay hidden, `bypass` needs the spec's own, a COMMAND or --executor is the only one. Ends with SIGINT or SIGTERM, and its workers with it.",
    args: [COMMAND],
    variadic: true,
    flags: {
      listen: {
        kind: "text",
        brief: "an address of this machine, and a port above 1023",
        placeholder: "HOST:PORT",
      },
      "new-token": {
        kind: "switch",
        brief: "make another token; the old one is worth nothing then",
      },
      ...FABRIC,
      ...CEILING,
    },
    examples: [
      "sh tasks/bureau worker serve --listen 127.0.0.1:8443",
      "sh tasks/bureau worker serve --listen 127.0.0.1:8443 --ro docs:/docs --timeout 600",
    ],
    raw: "it serves until it is stopped",
    load: async () => (await import("./serve.ts")).serve,
  }),
  defineCommand({
    path: ["worker", "spawn"],
    tool: PREPARED,
    brief: "Start a worker, or a pool of them, that waits for assignments in a sandbox of its own",
    docs:
      "Prints its name, by which `worker run --worker` gives it a run; with --pool the pool's. It stays when your terminal goes, held by a process of yours that ends with the last " +
      "of its workers. A worker ends when nobody needs it for --idle seconds, and after a run that did not end well; one of a pool is replaced then. " +
      "Options of the command itself stand behind `--`.",
    args: [
      { name: "NAME", brief: "what it is called; without it, it gets a name", optional: true },
      COMMAND,
    ],
    variadic: true,
    flags: {
      pool: { kind: "text", brief: "several of one kind, under this name", placeholder: "NAME" },
      size: { kind: "number", brief: "workers of the pool, 1 to 16; default 2", placeholder: "N" },
      idle: {
        kind: "number",
        brief: "seconds without a run after which it ends; default 300, in a pool never",
        placeholder: "N",
      },
      ...WORKER,
    },
    examples: [
      "sh tasks/bureau worker spawn reader --role reader",
      'sh tasks/bureau worker run --worker reader --assignment "say this back"',
      "sh tasks/bureau worker spawn --pool readers --size 2",
      'sh tasks/bureau worker run --pool readers --assignment "say this back"',
    ],
    result: async () => (await import("../../agent/host/api.ts")).Spawned,
    load: async () => (await import("./spawn.ts")).spawn,
  }),
  defineCommand({
    path: ["worker", "list"],
    tool: PREPARED,
    brief: "Show the workers that were spawned, and how they do",
    docs:
      "Each is asked whether it is there. Those that ended stay on the list until the host of the workers ends, a minute after its last worker; of a host that was killed, until the next spawn.",
    flags: HOST,
    examples: ["sh tasks/bureau worker list", "sh tasks/bureau worker list --json"],
    result: async () => (await import("../../agent/host/api.ts")).WorkerList,
    load: async () => (await import("./list.ts")).list,
  }),
  defineCommand({
    path: ["worker", "stop"],
    tool: PREPARED,
    destroys: true,
    brief: "End a worker that was spawned, or a pool of them",
    docs:
      "It is asked first, and what it runs is cancelled; after five seconds it is killed. One that has ended is no error.",
    args: [{ name: "NAME", brief: "of a worker, or of a pool", optional: true }],
    flags: {
      all: { kind: "switch", brief: "all of them" },
      ...HOST,
    },
    examples: [
      "sh tasks/bureau worker stop reader --yes",
      "sh tasks/bureau worker stop --all --yes",
    ],
    result: async () => (await import("../../agent/host/api.ts")).Stopped,
    load: async () => (await import("./stop.ts")).stop,
  }),
];
