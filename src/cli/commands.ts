// SPDX-License-Identifier: Apache-2.0

/** Every command of `bureau`, declared. A group that is not listed does not exist: there are no stubs. */
import { agentCommands } from "./agent/commands.ts";
import { authCommands } from "./auth/commands.ts";
import { bootCommands } from "./boot/commands.ts";
import { credentialCommands } from "./credential/commands.ts";
import { completionCommands } from "./completion/commands.ts";
import { configCommands } from "./config/commands.ts";
import { doctorCommand } from "./doctor/commands.ts";
import { environmentCommands } from "./environment/commands.ts";
import { egressCommands } from "./egress/commands.ts";
import type { CommandSpec } from "./framework/command.ts";
import type { Group } from "./framework/app.ts";
import { listCommand } from "./list/commands.ts";
import { loginCommands } from "./login/commands.ts";
import { logCommands } from "./log/commands.ts";
import { layoutCommands } from "./layout/commands.ts";
import { homeserverCommands } from "./homeserver/commands.ts";
import { machineCommands } from "./machine/commands.ts";
import { matrixCommands } from "./matrix/commands.ts";
import { mcpCommands } from "./mcp/commands.ts";
import { metricsCommand } from "./metrics/commands.ts";
import { notifyCommands } from "./notify/commands.ts";
import { observeCommand } from "./observe/commands.ts";
import { proxyCommand } from "./proxy/commands.ts";
import { sandboxCommands } from "./sandbox/commands.ts";
import { serviceCommands } from "./service/commands.ts";
import { statusCommand, versionCommand } from "./status/commands.ts";
import { upDownCommands } from "./status/updown.ts";
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
  {
    name: "environment",
    brief: "Programs for sandboxes, built by Nix in place of this machine's own",
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
    parts: { state: "State of a room, for scripts", user: "People's accounts" },
  },
  {
    name: "web",
    brief: "The web page, and who may open it",
    parts: { token: "Tokens that log browsers in", share: "Links by which others watch one agent" },
    alone: { "": "open", share: "create" },
  },
  { name: "homeserver", brief: "The embedded homeserver's database" },
];

export const commands: readonly CommandSpec[] = [
  ...upDownCommands,
  statusCommand,
  ...loginCommands,
  tutorialCommand,
  listCommand,
  observeCommand,
  doctorCommand,
  metricsCommand,
  versionCommand,
  ...bootCommands,
  proxyCommand,
  ...agentCommands,
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
  ...environmentCommands,
  ...workerCommands,
];
