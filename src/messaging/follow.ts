// SPDX-License-Identifier: Apache-2.0

/**
 * A service's view of Matrix through its machine's daemon: one sync loop serves all services of a
 * machine. Reconnects and resumes by itself; what can't be resumed comes as a `reset`.
 */
import { type Clock, systemClock } from "../lib/clock.ts";
import { BureauError, messageOf } from "../lib/errors.ts";
import { parseErrorBody, UNIX_HOST } from "../lib/http/mod.ts";
import { MessagingError } from "./errors.ts";
import { retry } from "./retry.ts";
import { readServerSentEvents, type ServerSentEvent } from "../lib/sse.ts";
import type { MatrixEvent, StateEvent } from "./types.ts";

export type FollowedEvent =
  /** The same event may come again after a reconnection: go by its `event_id`. */
  | { readonly kind: "event"; readonly room: string; readonly event: MatrixEvent }
  /** Events of this room are missing: read its state, and its messages if they matter. */
  | { readonly kind: "gap"; readonly room: string }
  /** Everything may have changed: read the state of every room. Always the first. */
  | { readonly kind: "reset"; readonly reason: string };

export interface FollowOptions {
  /** `<run>/daemon/daemon.sock` */
  readonly socket: string;
  /** The service's own Matrix access token. */
  readonly token: string;
  /** Room ids; default: every room that the service's account is in. */
  readonly rooms?: readonly string[];
  /** Event types; a `*` at the end stands for any text. */
  readonly types: readonly string[];
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Told when the stream was lost and will be opened again. */
  readonly onLost?: (error: MessagingError) => void;
}

/** The daemon sends something every 25 s: a stream that is silent for longer than this is dead. */
const SILENCE_MS = 90_000;

/**
 * Follows until `signal` aborts, then ends. Take `reset` first, read state with `readRoomState` while
 * handling it, and go on: nothing is lost in between.
 * @throws {MessagingError} when the daemon refuses for good, e.g. `unauthenticated`, `forbidden`
 */
export async function* followEvents(options: FollowOptions): AsyncGenerator<FollowedEvent> {
  const { signal, clock = systemClock, random = Math.random } = options;
  using http = unixClient(options.socket);
  let position: string | null = null;
  while (!signal.aborted) {
    const connection = new AbortController();
    const ends = AbortSignal.any([signal, connection.signal]);
    try {
      const response = await retry(() => open({ ...options, signal: ends }, http, position), {
        signal,
        clock,
        random,
        onFailure: (error) => options.onLost?.(error),
      });
      for await (const { id, event, data } of eventsOf(response, connection)) {
        const first = position === null;
        if (id !== "") position = id;
        if (event === "open" && first) yield { kind: "reset", reason: "the stream begins" };
        else if (event === "cut") {
          options.onLost?.(lost(`the daemon ended the stream: ${data}`));
          break;
        } else if (event === "event" || event === "gap" || event === "reset") {
          yield { kind: event, ...JSON.parse(data) } as FollowedEvent;
        }
      }
    } catch (thrown) {
      if (signal.aborted) return;
      if (thrown instanceof MessagingError && thrown.code === "stream-lost") {
        options.onLost?.(thrown);
      } else throw thrown;
    } finally {
      connection.abort();
    }
    // A daemon that ends each stream at once must not be asked without a pause.
    await clock.sleep(100 + Math.round(random() * 400), signal).catch(() => {});
  }
}

/**
 * The whole state of a room that the service is in.
 * @throws {MessagingError} `not-found`, `forbidden`, `unauthenticated`, `unreachable`
 */
export async function readRoomState(
  options: Pick<FollowOptions, "socket" | "token"> & { readonly signal?: AbortSignal },
  room: string,
): Promise<StateEvent[]> {
  using http = unixClient(options.socket);
  const url = `http://${UNIX_HOST}/v1/matrix/state?${new URLSearchParams({ room })}`;
  const what = `read the state of "${room}"`;
  const response = await ask(http, url, options, {}, what);
  const answer = await response.json().catch((cause) => {
    throw lost(messageOf(cause));
  });
  return (answer as { state: StateEvent[] }).state;
}

const unixClient = (path: string) => Deno.createHttpClient({ proxy: { transport: "unix", path } });

async function open(
  options: FollowOptions,
  http: Deno.HttpClient,
  position: string | null,
): Promise<Response> {
  const query = new URLSearchParams({ types: options.types.join(",") });
  if (options.rooms !== undefined) query.set("rooms", options.rooms.join(","));
  return await ask(
    http,
    `http://${UNIX_HOST}/v1/matrix/events?${query}`,
    options,
    position === null ? {} : { "last-event-id": position },
    "follow events",
  );
}

async function ask(
  client: Deno.HttpClient,
  url: string,
  { token, socket, signal }: { token: string; socket: string; signal?: AbortSignal },
  headers: Record<string, string>,
  what: string,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, {
      client,
      headers: { ...headers, authorization: `Bearer ${token}` },
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (thrown) {
    if (signal?.aborted) throw signal.reason;
    throw new MessagingError(
      "unreachable",
      `Cannot ${what}: the daemon at "${socket}" does not answer (${messageOf(thrown)})`,
      { status: 502, cause: thrown, hint: "is Bureau running? Start it with `deno task up`" },
    );
  }
  if (response.ok) return response;
  const error = parseErrorBody(await response.json().catch(() => null));
  throw new MessagingError(error?.code ?? "bad-answer", error?.message ?? `Cannot ${what}`, {
    status: response.status,
    ...(error?.hint === undefined ? {} : { hint: error.hint }),
  });
}

/** @throws {MessagingError} `stream-lost` when the connection breaks or falls silent */
async function* eventsOf(
  response: Response,
  connection: AbortController,
): AsyncGenerator<ServerSentEvent> {
  const { promise: silent, reject } = Promise.withResolvers<never>();
  silent.catch(() => {});
  const fallSilent = () => reject(lost("it is silent"));
  let timer = setTimeout(fallSilent, SILENCE_MS);
  const events = readServerSentEvents(response.body!, () => {
    clearTimeout(timer);
    timer = setTimeout(fallSilent, SILENCE_MS);
  });
  try {
    for (;;) {
      const next = await Promise.race([events.next(), silent]);
      if (next.done) throw lost("the daemon ended it");
      yield next.value;
    }
  } catch (thrown) {
    throw thrown instanceof BureauError ? thrown : lost(messageOf(thrown));
  } finally {
    clearTimeout(timer);
    // Ends the reading too, which may be waiting for what never comes.
    connection.abort();
  }
}

function lost(why: string): MessagingError {
  return new MessagingError("stream-lost", `Cannot follow events any further: ${why}`, {
    status: 502,
  });
}
