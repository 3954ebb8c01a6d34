// SPDX-License-Identifier: Apache-2.0

/** `matrix messages`: a room's newest messages, and what comes. Everything in them is somebody else's text. */
import { systemClock } from "../../lib/clock.ts";
import { neutralise } from "../../lib/terminal/mod.ts";
import { type MatrixClient, type MatrixEvent, MessagingError } from "../../messaging/mod.ts";
import { shortName } from "../agent/list.ts";
import { followAsks } from "../egress/follow.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, matrixClient, roomOf } from "../session.ts";
import type * as results from "./results.ts";

const MAX_LIMIT = 1_000;
const POLL_MS = 30_000;
const RETRY_MS = 1_000;

export const messages: CommandHandler<typeof results.messages> = async (call) => {
  const limit = Number(call.flags["limit"] ?? 50);
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new CliError("usage", `Cannot show ${limit} messages: --limit takes 1 to ${MAX_LIMIT}`);
  }
  const session = await loadSession(call);
  const client = matrixClient(session);
  const room = await roomOf(client, session, call.args[0]!);
  // The position comes before the page, so that nothing falls between them.
  const position = call.flags["follow"] === true ? await startPosition(client, room) : null;
  const page = await client.messages(room, {
    dir: "b",
    limit,
    filter: { types: ["m.room.message"] },
  });
  const events = page.chunk.filter((event) => event.type === "m.room.message").toReversed();
  if (position === null && call.json) return { room, messages: events.map(shape) };
  for (const event of events) show(call, event);
  if (position === null) return undefined;
  const seen = new Set(events.map((event) => event.event_id));
  if (call.flags["asks"] === true && !call.json) void followAsks(call, session);
  await follow(call, client, room, position, seen);
  return undefined;
};

function filterFor(room: string): string {
  return JSON.stringify({
    presence: { types: [] },
    account_data: { types: [] },
    room: {
      rooms: [room],
      ephemeral: { types: [] },
      account_data: { types: [] },
      state: { types: [] },
      timeline: { limit: 100, types: ["m.room.message"] },
    },
  });
}

async function startPosition(client: MatrixClient, room: string): Promise<string> {
  const answer = await client.sync({ filter: filterFor(room), timeoutMs: 0 });
  return answer.next_batch;
}

async function follow(
  call: Invocation,
  client: MatrixClient,
  room: string,
  start: string,
  seen: Set<string | undefined>,
): Promise<void> {
  let since = start;
  while (!call.signal.aborted) {
    try {
      const answer = await client.sync(
        { filter: filterFor(room), since, timeoutMs: POLL_MS },
        call.signal,
      );
      for (const event of answer.rooms?.join?.[room]?.timeline?.events ?? []) {
        if (event.type !== "m.room.message" || seen.has(event.event_id)) continue;
        show(call, event);
      }
      since = answer.next_batch;
      seen.clear();
    } catch (thrown) {
      if (call.signal.aborted) return;
      if (!(thrown instanceof MessagingError) || !thrown.isPassing) throw thrown;
      await systemClock.sleep(RETRY_MS, call.signal).catch(() => {});
    }
  }
}

function shape(event: MatrixEvent) {
  return {
    event_id: event.event_id,
    sender: event.sender,
    at: event.origin_server_ts ?? null,
    type: event.content["msgtype"] ?? null,
    body: event.content["body"] ?? null,
    content: event.content,
  };
}

function show(call: Invocation, event: MatrixEvent): void {
  if (call.json) return call.emit(JSON.stringify(shape(event)));
  const at = new Date(event.origin_server_ts ?? 0);
  const time = at.toTimeString().slice(0, 8);
  const who = neutralise(shortName(event.sender.slice(1).split(":")[0]!));
  const lines = String(event.content["body"] ?? "(no text)").split("\n");
  call.emit(`${time}  ${who}: ${neutralise(lines[0]!)}`);
  for (const line of lines.slice(1)) call.emit(`${" ".repeat(10)}${neutralise(line)}`);
}
