// SPDX-License-Identifier: Apache-2.0

/** What an agent can read and follow by MCP; each asks the proxy, which decides too. */
import type { ProxyClient } from "../../lib/proxyclient/mod.ts";
import type { Resource } from "../../mcp/resources.ts";
import { readMessages } from "./messages.ts";
import { knownRooms } from "./rooms.ts";

const JSON_TYPE = "application/json";
const NEWEST = 50;

export function proxyResources(proxy: ProxyClient): Resource[] {
  return [
    {
      uri: "bureau://identity",
      name: "identity",
      title: "Who you are",
      description: "Your name, account, machine, room and services, and what you may",
      mimeType: JSON_TYPE,
      action: null,
      read: async () => ({ ...await proxy.identity(), ...await proxy.grants() }),
    },
    {
      uri: "bureau://rooms",
      name: "rooms",
      title: "Your rooms",
      description: "The rooms you are in",
      mimeType: JSON_TYPE,
      action: null,
      read: async (_, signal) => ({ rooms: await knownRooms(proxy, signal) }),
    },
    {
      uri: "bureau://rooms/{room}/messages",
      name: "messages",
      title: "Messages of a room",
      description: `The newest ${NEWEST}, oldest first; \`room\` is an id or alias, encoded`,
      mimeType: JSON_TYPE,
      action: "matrix/read",
      read: async ({ room }) => await readMessages(proxy, room!, { limit: NEWEST }),
      follow: async (changed, signal, { room }) => {
        const types = ["m.room.message", "m.room.redaction"];
        for await (const { kind } of proxy.matrix.events({ rooms: [room!], types, signal })) {
          // What was there before is no change.
          if (kind !== "open") changed();
        }
      },
    },
  ];
}
