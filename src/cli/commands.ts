// SPDX-License-Identifier: Apache-2.0

/** Every command of `bureau`, declared. A group that is not listed does not exist: there are no stubs. */
import { PRINCIPAL } from "./arguments.ts";
import { agentCreate, agentInstall, agentRooms, ON_MACHINE } from "./agent/command.ts";
import { keptCommands } from "./agent/kept_commands.ts";
import { LOOK, workCommands } from "./agent/work/commands.ts";
import { authCommands } from "./auth/commands.ts";
import { credentialCommands } from "./credential/commands.ts";
import { completionCommands } from "./completion/commands.ts";
import { configCommands } from "./config/commands.ts";
import { egressCommands } from "./egress/commands.ts";
import { type CommandSpec, defineCommand } from "./framework/command.ts";
import type { Group } from "./framework/app.ts";
import { logCommands } from "./log/commands.ts";
import { layoutCommands } from "./layout/commands.ts";
import { homeserverCommands } from "./homeserver/commands.ts";
import { machineCommands } from "./machine/commands.ts";
import { matrixCommands } from "./matrix/commands.ts";
import { mcpCommands } from "./mcp/commands.ts";
import { notifyCommands } from "./notify/commands.ts";
import { sandboxCommands } from "./sandbox/commands.ts";
import { serviceCommands } from "./service/commands.ts";
import { templateCommands } from "./template/commands.ts";
import { tutorialCommand } from "./tutorial/commands.ts";
import { workerCommands } from "./worker/commands.ts";
import { webCommands } from "./web/commands.ts";

export const groups: readonly Group[] = [
  { name: "proxy", brief: "An agent's way to the world" },
  {
    name: "agent",
    brief: "Agents on this machine",
    parts: { context: "What an agent knows, as commits" },
  },
  { name: "log", brief: "Recordings of agents' terminals" },
  { name: "machine", brief: "The machines of the fleet" },
  { name: "layout", brief: "What dashboards show, and where" },
  { name: "config", brief: "What this machine's `up` starts from" },
  {
    name: "sandbox",
    brief: "What an agent's sandbox is made of, what it holds, and a command in one",
  },
  { name: "mcp", brief: "Bureau's commands as tools of a program (Model Context Protocol)" },
  { name: "worker", brief: "Assignments for workers, each in a sandbox of its own" },
  { name: "notify", brief: "Who is told when an agent needs a person" },
  { name: "egress", brief: "Where agents may connect to, and what they ask for" },
  {
    name: "credential",
    brief: "What agents may use and never see",
    parts: { escrow: "The operator's own key, to which credentials are sealed too" },
  },
  { name: "auth", brief: "Who may do what, and why" },
  { name: "service", brief: "Services: programs that agents call, each under a grant" },
  { name: "template", brief: "What agents are made of: templates in rooms, and files" },
  {
    name: "matrix",
    brief: "Rooms and messages, as the operator",
    parts: { state: "State of a room, for scripts" },
  },
  {
    name: "web",
    brief: "The web page, and who may open it",
    parts: { token: "Tokens that log browsers in", share: "Links by which others watch one agent" },
    alone: { "": "open", share: "create" },
  },
  { name: "homeserver", brief: "The embedded homeserver's database" },
];

const APPROVAL = {
  name: "ID",
  brief: "of `bureau agent approvals`; four letters are enough",
  names: "approval",
} as const;

export const commands: readonly CommandSpec[] = [
  defineCommand({
    path: ["status"],
    tool: { effect: "reads", without: ["permissions"] },
    brief: "Show what runs: processes, homeserver, agents",
    flags: {
      permissions: {
        kind: "switch",
        brief: "print what each process is permitted, with this machine's paths",
      },
    },
    examples: ["sh tasks/bureau status"],
    result: async () => (await import("./status/results.ts")).status,
    load: async () => (await import("./status/status.ts")).status,
  }),
  tutorialCommand,
  defineCommand({
    path: ["list"],
    tool: { effect: "reads", without: ["watch"] },
    brief: "List all agents and services here: state, processor, memory, watchers, last line",
    docs:
      "Who needs a person comes first, with a `!` before the state. The processor's use is of one processor, in percent, over a moment.",
    flags: {
      watch: { kind: "switch", brief: "again and again, until ctrl-C" },
      machine: ON_MACHINE,
    },
    examples: ["sh tasks/bureau list", "sh tasks/bureau list --json"],
    result: async () => (await import("./list/results.ts")).list,
    load: async () => (await import("./list/list.ts")).list,
  }),
  defineCommand({
    path: ["observe"],
    tool: { none: "it needs a terminal; `agent output` shows what stands on the agent's" },
    brief: "Watch an agent's terminal live, and drive it",
    docs:
      "ctrl-] then d leaves; the agent goes on. ctrl-] ? shows the other keys. Whoever types has the keyboard, and the agent's terminal that one's size; " +
      "all others see it in theirs as it fits. After a break of the connection it goes on where it was. Needs a terminal, except with --dump. " +
      "An agent of another machine (NAME@MACHINE, or found by its assignment) is watched through that machine's daemon.",
    args: [PRINCIPAL],
    flags: {
      machine: ON_MACHINE,
      readonly: { kind: "switch", brief: "watch without a keyboard" },
      "read-only": { kind: "switch", brief: "the same" },
      since: {
        kind: "text",
        brief:
          "show first, quickly, what was since then: 90s, 10m, 1h; with --dump the screen of then",
        placeholder: "TIME",
      },
      dump: { kind: "switch", brief: "print the screen as it is now and leave" },
      wait: { kind: "switch", brief: "stay while it does not run, until it runs again" },
    },
    examples: [
      "sh tasks/bureau observe agent/scribe",
      "sh tasks/bureau observe agent/scribe --since 10m",
      "sh tasks/bureau observe agent/scribe --dump",
    ],
    load: async () => (await import("./observe/observe.ts")).observe,
  }),
  defineCommand({
    path: ["doctor"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Examine this machine: what sandboxes need, which limits it can set, what it is made of",
    docs:
      "A short-lived launcher tries everything in real sandboxes; each finding says why it matters and what mends it. " +
      "Ends with status 1 when something that is needed is missing.",
    flags: {
      fix: {
        kind: "switch",
        brief: "mend what can be mended safely (as root; else print the commands)",
      },
      report: { kind: "switch", brief: "show a report from stdin (used by tasks/doctor.sh)" },
      fixes: { kind: "switch", brief: "with --report: print only what --fix would do" },
    },
    examples: [
      "sh tasks/bureau doctor",
      "sh tasks/bureau doctor --json",
      "sh tasks/bureau doctor --fix",
    ],
    load: async () => (await import("./doctor/doctor.ts")).doctor,
  }),
  defineCommand({
    path: ["version"],
    tool: { effect: "reads" },
    brief: "Print the version",
    result: async () => (await import("./status/results.ts")).version,
    load: async () => (await import("./status/version.ts")).version,
  }),
  defineCommand({
    path: ["boot"],
    brief: "First boot, from one JSON document on stdin (used by `up`; safe to repeat)",
    hidden: true,
    load: async () => (await import("./boot/boot.ts")).boot,
  }),
  defineCommand({
    path: ["join"],
    brief: "Join a fleet, from one JSON document on stdin (used by `up --join`; safe to repeat)",
    hidden: true,
    load: async () => (await import("./boot/join.ts")).join,
  }),
  defineCommand({
    path: ["proxy", "call"],
    tool: { none: "`sh tasks/bureau` prepares what it needs" },
    brief: "Make one request to an agent's proxy, as the agent would",
    docs:
      "The request has the agent's grants and the agent's credentials, and no others: what it is refused, the agent is refused. The answer's " +
      "body goes to stdout; a status of 400 or more ends with status 1.",
    args: [PRINCIPAL, { name: "METHOD", brief: "GET, POST, …" }, {
      name: "PATH",
      brief: "`/v1/identity`, `/v1/services`, `/http/<service>/…`",
    }],
    flags: {
      header: { kind: "texts", brief: "a header; may be repeated", placeholder: "NAME: VALUE" },
      body: { kind: "switch", brief: "send what comes on stdin" },
      include: { kind: "switch", brief: "print status and headers on stderr" },
      socket: {
        kind: "text",
        brief: "the proxy's socket (`sh tasks/bureau` finds it)",
        placeholder: "PATH",
      },
    },
    examples: [
      "sh tasks/bureau proxy call agent/scribe GET /v1/identity",
      "sh tasks/bureau proxy call --include agent/scribe GET /v1/services",
    ],
    load: async () => (await import("./proxy/call.ts")).call,
  }),
  defineCommand({
    path: ["agent", "list"],
    tool: { effect: "reads" },
    brief: "List the agents assigned to this machine",
    flags: {
      usage: { kind: "switch", brief: "with what each sandbox takes now" },
    },
    examples: [
      "sh tasks/bureau agent list",
      "sh tasks/bureau agent list --usage",
      "sh tasks/bureau agent list --json",
    ],
    result: async () => (await import("./agent/results.ts")).list,
    load: async () => (await import("./agent/list.ts")).list,
  }),
  defineCommand({
    path: ["agent", "show"],
    tool: { effect: "reads" },
    brief: "Show one agent: state, exit status, what went through its proxy, why it failed",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau agent show agent/scribe"],
    result: async () => (await import("./agent/results.ts")).show,
    load: async () => (await import("./agent/list.ts")).show,
  }),
  defineCommand({
    path: ["agent", "usage"],
    tool: { effect: "reads" },
    brief: "Show what an agent's sandbox takes now: memory, processes, processor, and its limits",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau agent usage agent/scribe"],
    result: async () => (await import("./agent/results.ts")).usage,
    load: async () => (await import("./agent/usage.ts")).usage,
  }),
  defineCommand({
    path: ["agent", "output"],
    tool: { effect: "reads" },
    brief: "Show what an agent's program wrote: on its terminal now, or before it last ended",
    docs:
      "Without --last: what stands on its terminal while it runs, else what stood there when it ended, with its exit status. Escape " +
      "sequences are shown, not obeyed, and values that are sealed for the agent are stars. `observe` shows the terminal itself.",
    args: [PRINCIPAL],
    flags: {
      lines: { kind: "text", brief: "at most so many lines", placeholder: "N", default: "500" },
      last: { kind: "switch", brief: "of its last end, though it runs again" },
    },
    examples: [
      "sh tasks/bureau agent output agent/scribe",
      "sh tasks/bureau agent output agent/scribe --lines 20",
    ],
    result: async () => (await import("./agent/results.ts")).output,
    load: async () => (await import("./agent/output.ts")).output,
  }),
  defineCommand({
    path: ["agent", "freeze"],
    tool: { effect: "changes", idempotent: true },
    brief: "Stop an agent in its tracks, with all it has in memory; `agent thaw` lets it go on",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau agent freeze agent/scribe"],
    result: async () => (await import("./agent/results.ts")).freeze,
    load: async () => (await import("./agent/usage.ts")).freeze,
  }),
  defineCommand({
    path: ["agent", "thaw"],
    tool: { effect: "changes", idempotent: true },
    brief: "Let a frozen agent go on",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau agent thaw agent/scribe"],
    result: async () => (await import("./agent/results.ts")).thaw,
    load: async () => (await import("./agent/usage.ts")).thaw,
  }),
  defineCommand({
    path: ["agent", "kill"],
    tool: { effect: "destroys" },
    brief: "Kill every process of an agent at once; its restart policy decides what follows",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau agent kill agent/scribe"],
    result: async () => (await import("./agent/results.ts")).kill,
    load: async () => (await import("./agent/usage.ts")).kill,
  }),
  defineCommand({
    path: ["agent", "approvals"],
    tool: { effect: "reads" },
    brief: "Show tool calls that agents ask leave for, and the last that ended",
    docs: "Of each agent on which one has the right `grant/approve/tool`.",
    args: [{ ...PRINCIPAL, optional: true }],
    examples: ["sh tasks/bureau agent approvals"],
    result: async () => (await import("./agent/results.ts")).approvals,
    load: async () => (await import("./agent/approvals.ts")).approvals,
  }),
  defineCommand({
    path: ["agent", "approve"],
    tool: { effect: "grants" },
    brief: "Allow one tool call that an agent asks leave for",
    args: [APPROVAL],
    result: async () => (await import("./agent/results.ts")).approve,
    load: async () => (await import("./agent/approvals.ts")).approve,
  }),
  defineCommand({
    path: ["agent", "deny"],
    tool: { effect: "changes", idempotent: true },
    brief: "Refuse one tool call that an agent asks leave for",
    args: [APPROVAL],
    result: async () => (await import("./agent/results.ts")).deny,
    load: async () => (await import("./agent/approvals.ts")).deny,
  }),
  agentCreate,
  agentInstall,
  ...agentRooms,
  ...workCommands,
  ...keptCommands,
  defineCommand({
    path: ["agent", "payload"],
    tool: {
      effect: "changes",
      idempotent: true,
      text: {
        of: "file",
        brief: "the new payload, a JSON object; without it the present one is shown",
      },
    },
    brief: "Show what an agent was given to work on, or give it another while it runs",
    docs:
      "The payload of its assignment, without its template's `default_payload`; the agent reads both together in /run/bureau/payload.json. " +
      "A new one is signed, and put in its place whole; a template with `reload: sighup` has the agent told.",
    args: [PRINCIPAL],
    flags: {
      file: {
        kind: "text",
        brief: "a JSON object that takes the present one's place, or - for stdin",
        placeholder: "FILE",
      },
    },
    examples: ["sh tasks/bureau agent payload agent/scribe"],
    result: async () => (await import("./agent/results.ts")).payload,
    load: async () => (await import("./agent/payload.ts")).payload,
  }),
  defineCommand({
    path: ["agent", "drain"],
    tool: { effect: "changes", idempotent: true },
    brief: "Stop an agent, or all of this machine, in good order",
    docs:
      "Signs the assignment anew as stopped: the program is asked to end (SIGTERM), has the grace to finish, and is killed after it. It stays stopped, over " +
      "restarts too, until `agent start`. Ends with status 1 when the machine did not say of each that it has stopped. Another machine's: `machine drain`.",
    args: [{ ...PRINCIPAL, optional: true }],
    flags: {
      all: { kind: "switch", brief: "every agent that is to run on this machine" },
      grace: {
        kind: "number",
        brief: "seconds to finish, 0 to 600",
        placeholder: "N",
        default: "10",
      },
    },
    result: async () => (await import("./agent/results.ts")).drain,
    load: async () => (await import("./agent/drain.ts")).drain,
  }),
  defineCommand({
    path: ["agent", "start"],
    tool: { effect: "changes", idempotent: true },
    brief: "Let an agent run again that was drained",
    args: [PRINCIPAL],
    result: async () => (await import("./agent/results.ts")).start,
    load: async () => (await import("./agent/drain.ts")).start,
  }),
  defineCommand({
    path: ["agent", "destroy"],
    tool: { effect: "destroys", idempotent: true, without: ["work", "look"] },
    brief: "Remove an agent: stop it, end its sessions, forget its credentials",
    docs:
      "Its room and messages stay, and so does its clone of a repository: `agent merge` and `agent discard` work on. `agent create` makes it again.",
    args: [PRINCIPAL],
    flags: { yes: { kind: "switch", brief: "do not ask" }, machine: ON_MACHINE, ...LOOK },
    examples: ["sh tasks/bureau agent destroy agent/scribe --yes"],
    result: async () => (await import("./agent/results.ts")).destroy,
    load: async () => (await import("./agent/destroy.ts")).destroy,
  }),
  ...layoutCommands,
  ...egressCommands,
  ...notifyCommands,
  ...mcpCommands,
  ...authCommands,
  ...credentialCommands,
  ...serviceCommands,
  ...templateCommands,
  ...configCommands,
  ...logCommands,
  ...machineCommands,
  ...webCommands,
  ...matrixCommands,
  ...homeserverCommands,
  ...completionCommands,
  ...sandboxCommands,
  ...workerCommands,
];
