// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `machine`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const MACHINE = { name: "MACHINE", brief: "its last name, or the full one" } as const;
const REASON = { kind: "text", brief: "for whoever asks why", placeholder: "TEXT" } as const;

export const machineCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["machine", "list"],
    tool: { effect: "reads" },
    brief: "List the fleet's machines",
    docs: "What the fleet's rooms say: it needs no daemon.",
    examples: ["sh tasks/bureau machine list", "sh tasks/bureau machine list --json"],
    result: async () => (await import("./results.ts")).list,
    load: async () => (await import("./list.ts")).list,
  }),
  defineCommand({
    path: ["machine", "show"],
    tool: { effect: "reads" },
    brief: "Show one machine: key, hardware, heartbeat, and what it shall run",
    docs: "Without a name: the one that you are on.",
    args: [{ ...MACHINE, optional: true }],
    examples: ["sh tasks/bureau machine show", "sh tasks/bureau machine show --json"],
    result: async () => (await import("./results.ts")).show,
    load: async () => (await import("./list.ts")).show,
  }),
  defineCommand({
    path: ["machine", "provision"],
    tool: { none: "what it prints lets its reader in" },
    brief: "Make a boot file with which another machine may join the fleet, once",
    docs:
      "Makes the machine's account and rooms, and a file (0600) with a one-time password and a challenge. Take it there, and start Bureau there with " +
      "`sh tasks/up --join FILE`: the machine makes its own key, proves that it has it, and gives itself another password, with which the file is worthless. " +
      "Until then, repeating the command makes a new file and the one before worthless.",
    args: [{ name: "NAME", brief: "lower-case letters, digits, `-`: its name in the fleet" }],
    flags: {
      hours: { kind: "number", brief: "how long it may join", placeholder: "N", default: "24" },
      homeserver: {
        kind: "text",
        brief: "where that machine reaches the homeserver, if not as this one does",
        placeholder: "URL",
      },
    },
    examples: ["sh tasks/bureau machine provision worker"],
    result: async () => (await import("./results.ts")).provision,
    load: async () => (await import("./provision.ts")).provision,
  }),
  defineCommand({
    path: ["machine", "cordon"],
    tool: { effect: "changes", idempotent: true },
    brief: "Let nothing new be assigned to a machine; what it runs goes on",
    args: [MACHINE],
    flags: { reason: REASON },
    examples: ['sh tasks/bureau machine cordon worker --reason "new disk"'],
    result: async () => (await import("./results.ts")).cordon,
    load: async () => (await import("./cordon.ts")).cordon,
  }),
  defineCommand({
    path: ["machine", "drain"],
    tool: { effect: "changes", idempotent: true },
    brief: "Cordon a machine, and stop what it runs",
    docs:
      "Every assignment there is signed anew as stopped: each principal gets its grace and ends. `machine uncordon` starts the same ones again. Ends with " +
      "status 1 when the machine did not say of each that it has stopped.",
    args: [MACHINE],
    flags: {
      reason: REASON,
      timeout: { kind: "number", brief: "seconds to wait", placeholder: "N", default: "60" },
    },
    examples: ["sh tasks/bureau machine drain worker"],
    result: async () => (await import("./results.ts")).drain,
    load: async () => (await import("./cordon.ts")).drain,
  }),
  defineCommand({
    path: ["machine", "uncordon"],
    tool: { effect: "changes", idempotent: true },
    brief: "Let a machine take new work, and start what a drain stopped",
    args: [MACHINE],
    examples: ["sh tasks/bureau machine uncordon worker"],
    result: async () => (await import("./results.ts")).uncordon,
    load: async () => (await import("./cordon.ts")).uncordon,
  }),
  defineCommand({
    path: ["machine", "decommission"],
    tool: { effect: "destroys", idempotent: true },
    destroys: true,
    brief: "Take a machine out of the fleet, in good order",
    docs:
      "Takes its assignments away and waits until it says that they have stopped, ends its agents' sessions, clears their sealed credentials and what it published, " +
      "takes its rights in rooms, and deactivates its account. Rooms and messages stay. `machine provision` lets a machine of that name join again.",
    args: [MACHINE],
    flags: {
      timeout: { kind: "number", brief: "seconds to wait", placeholder: "N", default: "60" },
    },
    examples: [
      "sh tasks/bureau machine decommission worker --dry-run",
      "sh tasks/bureau machine decommission worker --yes",
    ],
    result: async () => (await import("./results.ts")).decommission,
    load: async () => (await import("./leave.ts")).decommission,
  }),
  defineCommand({
    path: ["machine", "revoke"],
    tool: { effect: "destroys", idempotent: true },
    destroys: true,
    brief: "Distrust a machine at once: it is lost, stolen or broken into",
    docs:
      "Deactivates its account first, on which its daemon ends everything there; then its key, its rights, its assignments, its agents' sessions and credentials. " +
      "Prints which credentials it could read: change those where they were issued. A state event (m.bureau.credential_revocation) says it to everybody.",
    args: [MACHINE],
    flags: { reason: REASON },
    examples: ['sh tasks/bureau machine revoke worker --reason "stolen" --yes'],
    result: async () => (await import("./results.ts")).revoke,
    load: async () => (await import("./leave.ts")).revoke,
  }),
  defineCommand({
    path: ["machine", "upgrade"],
    tool: { effect: "changes", idempotent: true },
    brief: "Replace every process of a machine by that of another release; agents go on",
    docs:
      "Without a name: this machine, with the build of the checkout that `up` was started from, or with --release one that lies in the state directory. Each process " +
      "is replaced and must prove itself, the supervisor last. What fails is put back by itself, and that release is not tried again. " +
      "With a name: asks that machine by a signed event in its config room, where it also tells how it goes; --release must lie in its own state directory.",
    args: [{ ...MACHINE, optional: true }],
    flags: {
      release: {
        kind: "text",
        brief: "a release in `releases/` of the state directory",
        placeholder: "DIGEST",
      },
      again: { kind: "switch", brief: "though it failed here before" },
      settle: {
        kind: "text",
        brief: "how long everything must stay well",
        placeholder: "SECONDS",
        default: "10",
      },
      deadline: {
        kind: "text",
        brief: "how long after each replacement everything may take to be well",
        placeholder: "SECONDS",
        default: "60",
      },
    },
    examples: [
      "sh tasks/bureau machine upgrade",
      "sh tasks/bureau machine upgrade worker --release DIGEST",
    ],
    result: async () => (await import("./results.ts")).upgrade,
    load: async () => (await import("./upgrade.ts")).upgrade,
  }),
  defineCommand({
    path: ["machine", "releases"],
    tool: { effect: "reads" },
    brief: "Show which release runs here, which ran before, and which failed",
    examples: ["sh tasks/bureau machine releases"],
    result: async () => (await import("./results.ts")).releases,
    load: async () => (await import("./upgrade.ts")).releases,
  }),
];
