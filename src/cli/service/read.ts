// SPDX-License-Identifier: Apache-2.0

/** What the rooms say of services, as far as it counts. */
import { parseUserId, resolvePrincipal, userId } from "../../lib/ref/mod.ts";
import { EventType, parseEvent, type Service } from "../../lib/schema/mod.ts";
import { isRole } from "../../lib/token/rules.ts";
import { type MatrixClient, type MatrixEvent, maySpeakFor } from "../../messaging/mod.ts";
import { CliError } from "../framework/exit.ts";
import type { OperatorSession } from "../session.ts";

/** User id of what a person typed: `echo` means `service/echo`. */
export function serviceId(session: OperatorSession, text: string): string {
  const account = text.includes("/") || text.startsWith("@") ? text : `service/${text}`;
  return userId(
    resolvePrincipal(account, session.fleet, session.server_name),
    session.server_name,
  );
}

/** @throws {CliError} `usage` */
export function roleOf(text: string): string {
  if (isRole(text)) return text;
  throw new CliError("usage", `Cannot use the role "${text.slice(0, 100)}": it is no role`, {
    hint: "a role is one word of a-z 0-9 . _ = -",
  });
}

export async function aliasRoom(
  client: MatrixClient,
  session: OperatorSession,
  localpart: string,
): Promise<string> {
  const alias = `#${localpart}:${session.server_name}`;
  const id = await client.resolveAlias(alias);
  if (id !== null) return id;
  throw new CliError("no-such-room", `Cannot find the room "${alias}"`, {
    status: 404,
    hint: "run `deno task up`, which makes the rooms",
  });
}

/** By user id; each by the word of the machine that it runs on. */
export async function servicesOf(
  client: MatrixClient,
  session: OperatorSession,
): Promise<Map<string, Service>> {
  const room = await aliasRoom(client, session, `${session.fleet}/service`);
  const services = new Map<string, Service>();
  for (const { type, state_key, sender, content } of await client.roomState(room)) {
    if (type !== EventType.service) continue;
    const service = readable(() => parseEvent(EventType.service, content));
    if (service === null || service.principal === "" || sender !== service.machine) continue;
    if (`@${state_key}` !== service.principal) continue;
    // Any text may stand there; only names are shown and compared.
    const names = readable(() => [service.principal, service.machine].map(localpartOf));
    if (names !== null) services.set(service.principal, service);
  }
  return services;
}

/** Role → user id of the service that fills it in a room. */
export async function bindingsIn(
  client: MatrixClient,
  session: OperatorSession,
  room: string,
): Promise<Map<string, string>> {
  const events = await client.roomState(room);
  const levels = events.find(({ type }) => type === "m.room.power_levels");
  const bindings = new Map<string, string>();
  for (const event of events) {
    if (event.type !== EventType.serviceBinding || !counts(event, levels, session)) continue;
    const binding = readable(() => parseEvent(EventType.serviceBinding, event.content));
    if (binding === null || readable(() => localpartOf(binding.principal)) === null) continue;
    bindings.set(event.state_key!, binding.principal);
  }
  return bindings;
}

function counts(
  event: MatrixEvent,
  levels: MatrixEvent | undefined,
  session: OperatorSession,
): boolean {
  return maySpeakFor(event.sender, null, {
    type: event.type,
    levels: levels === undefined ? undefined : {
      content: levels.content,
      sender: levels.sender,
      eventId: levels.event_id,
    },
    admins: [session.user_id],
  }).allowed;
}

function readable<T>(read: () => T | null): T | null {
  try {
    return read();
  } catch {
    // What this Bureau can't read says nothing to it.
    return null;
  }
}

/** @throws {RefError} */
export function localpartOf(user: string): string {
  return parseUserId(user).localpart;
}
