// SPDX-License-Identifier: Apache-2.0

/** The operator's view of a Bureau's homeserver, over plain Client-Server calls. */
import type { Bureau } from "./harness.ts";

export interface MatrixEvent {
  readonly type: string;
  readonly event_id: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content: Record<string, unknown>;
}

export const SCRIBE = "bureau/fleet/dev/agent/scribe";

async function session(
  bureau: Bureau,
): Promise<{ access_token: string; homeserver_url: string; server_name: string }> {
  return JSON.parse(await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`));
}

/** One authorised request; throws with status and body when refused. */
export async function matrix<T>(
  bureau: Bureau,
  path: string,
  init: { method?: string; body?: unknown } = {},
): Promise<T> {
  const { access_token, homeserver_url } = await session(bureau);
  const response = await fetch(
    `${homeserver_url}/_matrix/client/v3/${path}`,
    {
      method: init.method ?? "GET",
      headers: { authorization: `Bearer ${access_token}`, "content-type": "application/json" },
      ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
      signal: AbortSignal.timeout(10_000),
    },
  );
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

export async function roomId(bureau: Bureau, localpart: string): Promise<string> {
  const { server_name } = await session(bureau);
  const alias = encodeURIComponent(`#${localpart}:${server_name}`);
  return (await matrix<{ room_id: string }>(bureau, `directory/room/${alias}`)).room_id;
}

/** Every message of a room, oldest first. */
export async function messages(bureau: Bureau, room: string): Promise<MatrixEvent[]> {
  const page = await matrix<{ chunk: MatrixEvent[] }>(
    bureau,
    `rooms/${encodeURIComponent(room)}/messages?dir=b&limit=500`,
  );
  return page.chunk.filter((event) => event.type === "m.room.message").reverse();
}

export async function stateEvents(
  bureau: Bureau,
  room: string,
  type: string,
): Promise<MatrixEvent[]> {
  const all = await matrix<MatrixEvent[]>(bureau, `rooms/${encodeURIComponent(room)}/state`);
  return all.filter((event) => event.type === type);
}
