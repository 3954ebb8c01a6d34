// SPDX-License-Identifier: Apache-2.0

/** The commands of the group `service`, declared. */
import { agentCreate } from "../agent/command.ts";
import { ON_MACHINE } from "../arguments.ts";
import { type CommandSpec, defineCommand } from "../framework/command.ts";

const NAME = {
  name: "NAME",
  brief: "`echo`, `service/echo`, or the full name",
  names: "service",
} as const;
const ROLE = { name: "ROLE", brief: "what callers know it as: one word, `echo`" } as const;
const ROOM = {
  kind: "text",
  brief: "for those who work in this room, instead of everybody on this machine",
  placeholder: "ROOM",
} as const;

export const serviceCommands: readonly CommandSpec[] = [
  defineCommand({
    path: ["service", "create"],
    tool: { effect: "grants", idempotent: true, without: ["repo", "credentials", "from-stdin"] },
    brief: "Assign a service to this machine, and bind roles to it",
    docs:
      "As `agent create`, of a template that has `service`: the program listens on /run/bureau/listen/service.sock. " +
      "Agents whose template requires a role find its socket and a token in /run/bureau/service.",
    args: [NAME],
    flags: {
      ...agentCreate.flags,
      template: {
        kind: "text",
        brief: "template reference",
        placeholder: "ROOM:NAME",
        default: "bureau/template:service",
      },
      role: {
        kind: "texts",
        brief: "a role that it fills on this machine; may be repeated",
        placeholder: "ROLE",
      },
    },
    result: async () => (await import("./results.ts")).create,
    load: async () => (await import("./create.ts")).create,
  }),
  defineCommand({
    path: ["service", "list"],
    tool: { effect: "reads" },
    brief: "Show the fleet's services, where they run, and the roles that they fill here",
    examples: ["sh tasks/bureau service list"],
    result: async () => (await import("./results.ts")).list,
    load: async () => (await import("./list.ts")).list,
  }),
  defineCommand({
    path: ["service", "show"],
    tool: { effect: "reads" },
    brief: "Show one service: where it runs, what it offers, who calls it what",
    args: [NAME],
    result: async () => (await import("./results.ts")).show,
    load: async () => (await import("./show.ts")).show,
  }),
  defineCommand({
    path: ["service", "bind"],
    tool: { effect: "grants", idempotent: true },
    brief: "Have a service fill a role; callers reach it at once, without a restart",
    docs:
      "What filled the role before gets no further connection, and tokens for it count no more.",
    args: [ROLE, NAME],
    flags: { room: ROOM },
    result: async () => (await import("./results.ts")).bind,
    load: async () => (await import("./bind.ts")).bind,
  }),
  defineCommand({
    path: ["service", "unbind"],
    tool: { effect: "changes", idempotent: true },
    brief: "Let a role be filled by nobody",
    args: [ROLE],
    flags: { room: ROOM },
    result: async () => (await import("./results.ts")).unbind,
    load: async () => (await import("./bind.ts")).unbind,
  }),
  defineCommand({
    path: ["service", "token"],
    tool: { none: "what it prints lets its reader in" },
    brief: "Make a token of your own for the service that fills a role here, good for 5 minutes",
    docs:
      "You are its caller, with what you may do of `service/ROLE/…` and nothing else. It counts for that one service. That it was made is written down (audit). " +
      "It is a secret: it is printed alone on stdout.",
    args: [ROLE],
    result: async () => (await import("./results.ts")).token,
    load: async () => (await import("./token.ts")).token,
  }),
  defineCommand({
    path: ["service", "destroy"],
    tool: { effect: "destroys", idempotent: true },
    destroys: true,
    brief: "Remove a service, and unbind the roles that it fills on this machine",
    args: [NAME],
    flags: { machine: ON_MACHINE },
    result: async () => (await import("./results.ts")).destroy,
    load: async () => (await import("./destroy.ts")).destroy,
  }),
];
