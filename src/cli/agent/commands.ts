// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `agent`, declared. */
import { ON_MACHINE, PRINCIPAL } from "../arguments.ts";
import { type CommandSpec, defineCommand } from "../framework/command.ts";
import { agentAsk, agentCreate, agentInstall, agentRooms } from "./command.ts";
import { keptCommands } from "./kept_commands.ts";
import { LOOK, workCommands } from "./work/commands.ts";

const APPROVAL = {
  name: "ID",
  brief: "of `bureau agent approvals`; four letters are enough",
  names: "approval",
} as const;

export const agentCommands: readonly CommandSpec[] = [
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
    result: async () => (await import("./results.ts")).list,
    load: async () => (await import("./list.ts")).list,
  }),
  defineCommand({
    path: ["agent", "show"],
    tool: { effect: "reads" },
    brief: "Show one agent: state, exit status, what went through its proxy, why it failed",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau agent show agent/scribe"],
    result: async () => (await import("./results.ts")).show,
    load: async () => (await import("./list.ts")).show,
  }),
  defineCommand({
    path: ["agent", "usage"],
    tool: { effect: "reads" },
    brief: "Show what an agent's sandbox takes now: memory, processes, processor, and its limits",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau agent usage agent/scribe"],
    result: async () => (await import("./results.ts")).usage,
    load: async () => (await import("./usage.ts")).usage,
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
    result: async () => (await import("./results.ts")).output,
    load: async () => (await import("./output.ts")).output,
  }),
  defineCommand({
    path: ["agent", "freeze"],
    tool: { effect: "changes", idempotent: true },
    brief: "Stop an agent in its tracks, with all it has in memory; `agent thaw` lets it go on",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau agent freeze agent/scribe"],
    result: async () => (await import("./results.ts")).freeze,
    load: async () => (await import("./usage.ts")).freeze,
  }),
  defineCommand({
    path: ["agent", "thaw"],
    tool: { effect: "changes", idempotent: true },
    brief: "Let a frozen agent go on",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau agent thaw agent/scribe"],
    result: async () => (await import("./results.ts")).thaw,
    load: async () => (await import("./usage.ts")).thaw,
  }),
  defineCommand({
    path: ["agent", "kill"],
    tool: { effect: "destroys" },
    destroys: true,
    brief: "Kill every process of an agent at once; its restart policy decides what follows",
    args: [PRINCIPAL],
    examples: ["sh tasks/bureau agent kill agent/scribe --yes"],
    result: async () => (await import("./results.ts")).kill,
    load: async () => (await import("./usage.ts")).kill,
  }),
  defineCommand({
    path: ["agent", "approvals"],
    tool: { effect: "reads" },
    brief: "Show tool calls that agents ask leave for, and the last that ended",
    docs: "Of each agent on which one has the right `grant/approve/tool`.",
    args: [{ ...PRINCIPAL, optional: true }],
    examples: ["sh tasks/bureau agent approvals"],
    result: async () => (await import("./results.ts")).approvals,
    load: async () => (await import("./approvals.ts")).approvals,
  }),
  defineCommand({
    path: ["agent", "approve"],
    tool: { effect: "grants" },
    brief: "Allow one tool call that an agent asks leave for",
    args: [APPROVAL],
    result: async () => (await import("./results.ts")).approve,
    load: async () => (await import("./approvals.ts")).approve,
  }),
  defineCommand({
    path: ["agent", "deny"],
    tool: { effect: "changes", idempotent: true },
    brief: "Refuse one tool call that an agent asks leave for",
    args: [APPROVAL],
    result: async () => (await import("./results.ts")).deny,
    load: async () => (await import("./approvals.ts")).deny,
  }),
  agentCreate,
  agentAsk,
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
    result: async () => (await import("./results.ts")).payload,
    load: async () => (await import("./payload.ts")).payload,
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
    result: async () => (await import("./results.ts")).drain,
    load: async () => (await import("./drain.ts")).drain,
  }),
  defineCommand({
    path: ["agent", "start"],
    tool: { effect: "changes", idempotent: true },
    brief: "Let an agent run again that was drained",
    args: [PRINCIPAL],
    result: async () => (await import("./results.ts")).start,
    load: async () => (await import("./drain.ts")).start,
  }),
  defineCommand({
    path: ["agent", "destroy"],
    tool: { effect: "destroys", idempotent: true, without: ["work", "look"] },
    destroys: true,
    brief: "Remove an agent: stop it, end its sessions, forget its credentials",
    docs:
      "Its room and messages stay, and so does its clone of a repository: `agent merge` and `agent discard` work on. `agent create` makes it again.",
    args: [PRINCIPAL],
    flags: { machine: ON_MACHINE, ...LOOK },
    examples: [
      "sh tasks/bureau agent destroy agent/scribe --dry-run",
      "sh tasks/bureau agent destroy agent/scribe --yes",
    ],
    result: async () => (await import("./results.ts")).destroy,
    load: async () => (await import("./destroy.ts")).destroy,
  }),
];
