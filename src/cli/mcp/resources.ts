// SPDX-License-Identifier: Apache-2.0

/** What there is to read and to follow beside the tools; each asks the daemon, which decides too. */
import type { daemonApi } from "../../daemon/api.ts";
import type { Client } from "../../lib/http/mod.ts";
import type { Resource } from "../../mcp/resources.ts";
import type { Invocation } from "../framework/command.ts";
import { daemonClient, loadSession, type OperatorSession, principalOf } from "../session.ts";

const JSON_TYPE = "application/json";
const SCREEN_LINES = "200";

type Ask<T> = (
  daemon: Client<typeof daemonApi>,
  session: OperatorSession,
) => Promise<T>;

export function commandResources(call: Invocation): Resource[] {
  async function ask<T>(question: Ask<T>): Promise<T> {
    const session = await loadSession(call);
    const daemon = daemonClient(call, session);
    try {
      return await question(daemon, session);
    } finally {
      daemon.close();
    }
  }
  const ofAgent = (variables: Readonly<Record<string, string>>, session: OperatorSession) => ({
    principal: principalOf(session, variables["name"]!),
  });
  return [
    {
      uri: "bureau://identity",
      name: "identity",
      title: "Who you are here",
      description: "Your account, this machine and its fleet, and what you may do",
      mimeType: JSON_TYPE,
      action: "resource/identity",
      read: (_, signal) =>
        ask(async (daemon, { user_id, server_name, fleet, machine }) => {
          const query = { user: user_id };
          const { kind, grants, denials } = await daemon.call("authorizationOf", { query, signal });
          return { user_id, kind, server_name, fleet, machine, grants, denials };
        }),
    },
    {
      uri: "bureau://agents",
      name: "agents",
      title: "Agents and services",
      description: "All of this machine: state, attention, last line",
      mimeType: JSON_TYPE,
      action: "resource/agents",
      read: (_, signal) => ask((daemon) => daemon.call("list", { signal })),
    },
    {
      uri: "bureau://agents/{name}",
      name: "agent",
      title: "One agent",
      description: "State, restarts, attention; `name` as in `scribe`, or encoded `service%2Fecho`",
      mimeType: JSON_TYPE,
      action: "resource/agents",
      read: (variables, signal) =>
        ask((daemon, session) =>
          daemon.call("show", { params: ofAgent(variables, session), signal })
        ),
    },
    {
      uri: "bureau://agents/{name}/screen",
      name: "screen",
      title: "An agent's terminal",
      description: "What stands on it now as plain text; or what stood there when it ended",
      mimeType: "text/plain",
      action: "resource/agents",
      read: (variables, signal) =>
        ask(async (daemon, session) => {
          const params = ofAgent(variables, session);
          const query = { lines: SCREEN_LINES };
          const { now, last } = await daemon.call("output", { params, query, signal });
          return (now ?? last?.output ?? []).join("\n");
        }),
    },
    {
      uri: "bureau://asks",
      name: "asks",
      title: "Open questions",
      description: "What agents ask to connect to and wait for",
      mimeType: JSON_TYPE,
      action: "resource/asks",
      read: (_, signal) => ask((daemon) => daemon.call("asks", { signal })),
      follow: (changed, signal) =>
        ask(async (daemon) => {
          // The first is what is so already.
          let first = true;
          for await (const _ of daemon.events("followAsks", { signal })) {
            if (!first) changed();
            first = false;
          }
        }),
    },
    {
      uri: "bureau://rooms/{room}/messages",
      name: "messages",
      title: "Messages of a room",
      description: "The newest fifty; `room` is an agent's name, or an encoded alias or id",
      mimeType: JSON_TYPE,
      action: "resource/rooms",
      read: async (variables, signal) => {
        const { messages } = await import("../matrix/messages.ts");
        const args = [variables["room"]!];
        return await messages({ ...call, json: true, signal, args, flags: { limit: 50 } });
      },
    },
  ];
}
