// SPDX-License-Identifier: Apache-2.0

/** The proxy's event stream, opened again where it broke off. */
import { type Clock, systemClock } from "../clock.ts";
import { BureauError, messageOf } from "../errors.ts";
import type { MatrixEvent } from "../matrix/types.ts";
import { readServerSentEvents } from "../sse.ts";
import { ProxyClientError } from "./errors.ts";
import type { Transport } from "./transport.ts";

export type FollowedEvent =
  & (
    /** The stream stands: what happens from here on comes. Only once. */
    | { readonly kind: "open" }
    /** The same event may come again after a reconnection: go by its `event_id`. */
    | { readonly kind: "event"; readonly room: string; readonly event: MatrixEvent }
    /** Events of this room are missing: read its messages. */
    | { readonly kind: "gap"; readonly room: string }
    | { readonly kind: "invite"; readonly room: string; readonly state: readonly MatrixEvent[] }
    | { readonly kind: "leave"; readonly room: string }
    /** Nothing is known of what happened since the position: read every room anew. */
    | { readonly kind: "reset"; readonly reason: string }
  )
  & {
    /** Follow from here another time. Of the batch before: what follows it may come again. */
    readonly position: string;
  };

export interface FollowOptions {
  /** Ids or aliases; default: every room that one is in. */
  readonly rooms?: readonly string[];
  /** Event types; a `*` at the end stands for any text; default: all. */
  readonly types?: readonly string[];
  /** Whether one's own events come too; default true. */
  readonly own?: boolean;
  /** `position` of an earlier event; default: from now. */
  readonly since?: string;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Told when the stream was lost and will be opened again. */
  readonly onLost?: (error: ProxyClientError) => void;
}

/** The proxy sends something every 15 s: a stream that is silent for longer than this is dead. */
const SILENCE_MS = 60_000;
const RETRY_MOST_MS = 5_000;

/**
 * Follows until `signal` aborts, then ends.
 * @throws {ProxyClientError} when the proxy refuses for good, e.g. `forbidden`
 */
export async function* followEvents(
  transport: Transport,
  options: FollowOptions,
): AsyncGenerator<FollowedEvent> {
  const { signal, clock = systemClock, random = Math.random } = options;
  let position = options.since ?? "";
  let begun = false;
  let failures = 0;
  while (!signal.aborted) {
    const connection = new AbortController();
    try {
      const ends = AbortSignal.any([signal, connection.signal]);
      const response = await open(transport, options, position, ends);
      for await (const { id, event, data } of eventsOf(response, connection)) {
        failures = 0;
        if (event === "cut") throw cut(data);
        if (id !== "") position = id;
        if (event === "position" || (event === "open" && begun)) continue;
        begun = true;
        yield { kind: event, ...JSON.parse(data), position } as FollowedEvent;
      }
      // A proxy that stops ends its streams.
      throw lost("it ended");
    } catch (thrown) {
      if (signal.aborted) return;
      if (!(thrown instanceof ProxyClientError) || !thrown.isPassing) throw thrown;
      options.onLost?.(thrown);
    } finally {
      connection.abort();
    }
    const most = Math.min(RETRY_MOST_MS, 200 * 2 ** Math.min(failures++, 10));
    await clock.sleep(most / 2 + random() * most / 2, signal).catch(() => {});
  }
}

function open(
  transport: Transport,
  { rooms, types, own }: FollowOptions,
  position: string,
  signal: AbortSignal,
): Promise<Response> {
  return transport.ask("GET", "/v1/matrix/events", "follow events", {
    query: { rooms: rooms?.join(), types: types?.join(), own: own === false ? "false" : undefined },
    init: position === "" ? {} : { headers: { "last-event-id": position } },
    signal,
  });
}

/** @throws {ProxyClientError} `stream-lost` when the connection breaks or falls silent */
async function* eventsOf(response: Response, connection: AbortController) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isSilent = false;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      isSilent = true;
      connection.abort();
    }, SILENCE_MS);
  };
  heard();
  try {
    yield* readServerSentEvents(response.body!, heard);
  } catch (thrown) {
    throw thrown instanceof BureauError
      ? thrown
      : lost(isSilent ? "it is silent" : messageOf(thrown));
  } finally {
    clearTimeout(timer);
  }
}

function lost(why: string): ProxyClientError {
  return new ProxyClientError("stream-lost", `Cannot follow events any further: ${why}`, {
    status: 502,
  });
}

/** Why the proxy ended the stream for good. */
function cut(data: string): ProxyClientError {
  const { error } = JSON.parse(data) as { error: { code: string; message: string; hint?: string } };
  return new ProxyClientError(error.code, error.message, {
    status: 403,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
