// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `web`, declared. */
import { PRINCIPAL } from "../arguments.ts";
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const ID = { name: "ID", brief: "as the list shows it" } as const;

export const webCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["web", "open"],
    tool: { none: "what it prints lets its reader in" },
    brief: "Print a one-time link to the web page: agents, their terminals, what they ask for",
    docs:
      "The link works once, within ten minutes, and logs one browser in with your rights. The page listens on loopback; --lan has it listen on " +
      "this machine's address in the local network too, with TLS and an authority of its own, and prints the link as a QR code for a phone.",
    flags: {
      browser: { kind: "switch", brief: "open it in this machine's browser (`xdg-open`)" },
      lan: { kind: "switch", brief: "listen on the local network too, from now on" },
      address: {
        kind: "text",
        brief: "with --lan: which address of this machine",
        placeholder: "ADDRESS",
      },
      loopback: { kind: "switch", brief: "listen on loopback alone again" },
      qr: { kind: "switch", brief: "print the link as a QR code too" },
    },
    examples: ["sh tasks/bureau web", "sh tasks/bureau web --json"],
    result: async () => (await import("./results.ts")).open,
    load: async () => (await import("./open.ts")).open,
  }),
  defineCommand({
    path: ["web", "token", "create"],
    tool: { none: "what it prints lets its reader in" },
    brief: "Make a token that logs browsers in as you; it is shown once",
    args: [{ name: "LABEL", brief: "what it is for, as the list shows it" }],
    flags: {
      for: {
        kind: "text",
        brief: "how long it holds: 30m, 1h, 90d",
        placeholder: "TIME",
        default: "90d",
      },
    },
    examples: ["sh tasks/bureau web token create laptop --for 30d"],
    result: async () => (await import("./results.ts")).create,
    load: async () => (await import("./token.ts")).create,
  }),
  defineCommand({
    path: ["web", "token", "list"],
    tool: { effect: "reads" },
    brief: "List tokens, and browsers that are logged in by a link",
    examples: ["sh tasks/bureau web token list"],
    result: async () => (await import("./results.ts")).list,
    load: async () => (await import("./token.ts")).list,
  }),
  defineCommand({
    path: ["web", "token", "revoke"],
    tool: { effect: "destroys", idempotent: true },
    destroys: true,
    brief: "End a token, or a login by a link; whoever is logged in by it is out at once",
    args: [ID],
    result: async () => (await import("./results.ts")).revoke,
    load: async () => (await import("./token.ts")).revoke,
  }),
  defineCommand({
    path: ["web", "share", "create"],
    tool: { none: "what it prints lets its reader in" },
    brief: "Make a link by which anybody watches one agent, and can't type",
    docs:
      "Whoever has the link sees the agent's terminal until it is over or revoked, and nothing else of this Bureau.",
    args: [PRINCIPAL],
    flags: {
      for: {
        kind: "text",
        brief: "how long it holds: 30m, 1h, 30d at most",
        placeholder: "TIME",
        default: "1h",
      },
    },
    examples: ["sh tasks/bureau web share agent/scribe --for 1h"],
    result: async () => (await import("./results.ts")).share,
    load: async () => (await import("./token.ts")).share,
  }),
  defineCommand({
    path: ["web", "share", "list"],
    tool: { effect: "reads" },
    brief: "List shared links",
    examples: ["sh tasks/bureau web share list"],
    result: async () => (await import("./results.ts")).shares,
    load: async () => (await import("./token.ts")).shares,
  }),
  defineCommand({
    path: ["web", "share", "revoke"],
    tool: { effect: "destroys", idempotent: true },
    destroys: true,
    brief: "End a shared link; whoever watches by it is out at once",
    args: [ID],
    result: async () => (await import("./results.ts")).unshare,
    load: async () => (await import("./token.ts")).unshare,
  }),
];
