// SPDX-License-Identifier: Apache-2.0

/** One request to a homeserver: encoding, errors, 429. Retrying anything else is `retry()`'s. */
import { type Clock, systemClock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { MessagingError } from "./errors.ts";
import { refusal } from "./refusal.ts";
import { backoffMs } from "./retry.ts";

/** How long an ordinary request may take: 60 s. A long poll says its own. */
const REQUEST_TIMEOUT_MS = 60_000;
/** A 429 is waited for at most this often and this long before it is handed to the caller. */
const MAX_RATE_LIMIT_WAITS = 5;
const MAX_RATE_LIMIT_WAIT_MS = 30_000;

export interface RequesterOptions {
  /** `http://127.0.0.1:6167`, perhaps with a base path. */
  readonly homeserverUrl: string;
  readonly accessToken?: string;
  readonly clock?: Clock;
  readonly fetch?: typeof fetch;
  /** 0 ≤ n < 1; spreads the retries of many clients. */
  readonly random?: () => number;
  /** Called once, by whichever request learns first that the account is gone. */
  readonly onAccountLost?: (error: MessagingError) => void;
}

type Method = "GET" | "PUT" | "POST" | "DELETE";

interface Common {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  /** What a person would say was tried, e.g. `join "#a:b"`. */
  readonly what: string;
}

export interface RequestOptions extends Common {
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface RawOptions extends Common {
  readonly body?: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request in JSON, answered in JSON; a 429 is waited for. */
export type Requester = <T>(method: Method, path: string, options: RequestOptions) => Promise<T>;
/**
 * A request in bytes. The caller reads the body, which the deadline covers too. Never repeated: a
 * stream can be sent once.
 */
export type RawRequester = (
  method: Method,
  path: string,
  options: RawOptions,
) => Promise<Response>;

export interface Connection {
  readonly request: Requester;
  readonly raw: RawRequester;
  /**
   * Aborts when a request learns that the account is gone, with that `MessagingError` as its reason;
   * whatever is under way ends with it, and nothing is sent any more.
   */
  readonly lost: AbortSignal;
}

/** Builds a path of fixed text and percent-encoded names: a room id or state key never adds a segment. */
export function path(parts: TemplateStringsArray, ...names: readonly string[]): string {
  return parts.reduce((text, part, at) => text + encodeURIComponent(names[at - 1]!) + part);
}

/** @throws {MessagingError} `bad-url` when the address is no http(s) URL */
export function createRequester(options: RequesterOptions): Requester {
  return connect(options).request;
}

/** @throws {MessagingError} `bad-url` when the address is no http(s) URL */
export function connect(options: RequesterOptions): Connection {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? Math.random;
  const fetchFn = options.fetch ?? fetch;
  const base = checkUrl(options.homeserverUrl);
  const lost = new AbortController();

  /** What a failure really was: the caller's abort, the account's end, or the network's. */
  function failed(thrown: unknown, call: Common): unknown {
    if (call.signal?.aborted) return call.signal.reason;
    if (lost.signal.aborted) return lost.signal.reason;
    if (thrown instanceof MessagingError) {
      if (thrown.isAccountLost && options.accessToken !== undefined) {
        options.onAccountLost?.(thrown);
        lost.abort(thrown);
      }
      return thrown;
    }
    return new MessagingError(
      "unreachable",
      `Cannot ${call.what}: the homeserver at ${base} does not answer (${messageOf(thrown)})`,
      {
        status: 502,
        cause: thrown,
        hint: `check that it runs: curl ${base}/_matrix/client/versions`,
      },
    );
  }

  /** Sends; an answer that is no success is thrown as what it says. */
  async function send(method: string, path: string, call: RawOptions): Promise<Response> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    const signals = [AbortSignal.timeout(call.timeoutMs ?? REQUEST_TIMEOUT_MS), lost.signal];
    if (call.signal !== undefined) signals.push(call.signal);
    const response = await fetchFn(`${base}${path}${query.size === 0 ? "" : `?${query}`}`, {
      method,
      // A redirect would carry the access token to wherever the answer points.
      redirect: "error",
      headers: {
        ...(options.accessToken === undefined
          ? {}
          : { authorization: `Bearer ${options.accessToken}` }),
        ...call.headers,
      },
      ...(call.body === undefined ? {} : { body: call.body }),
      signal: AbortSignal.any(signals),
    });
    if (response.ok) return response;
    const json = parseJson(await response.text());
    const waitFor = response.headers.get("retry-after");
    throw refusal(call.what, base, response.status, json, waitFor, clock.now());
  }

  async function once<T>(method: string, path: string, call: RequestOptions): Promise<T> {
    const { body, ...common } = call;
    if (lost.signal.aborted) throw lost.signal.reason;
    try {
      const response = await send(method, path, {
        ...common,
        ...(body === undefined ? {} : {
          body: JSON.stringify(body),
          headers: { "content-type": "application/json" },
        }),
      });
      const json = parseJson(await response.text());
      if (json === undefined) throw refusal(call.what, base, response.status, json, null, 0);
      return json as T;
    } catch (thrown) {
      throw failed(thrown, call);
    }
  }

  return {
    lost: lost.signal,
    async raw(method, path, call) {
      if (lost.signal.aborted) throw lost.signal.reason;
      try {
        return await send(method, path, call);
      } catch (thrown) {
        throw failed(thrown, call);
      }
    },
    async request(method, path, call) {
      for (let waits = 0;; waits++) {
        try {
          return await once(method, path, call);
        } catch (thrown) {
          const limited = thrown instanceof MessagingError && thrown.status === 429;
          if (!limited || waits >= MAX_RATE_LIMIT_WAITS) throw thrown;
          const wait = thrown.retryAfterMs ?? backoffMs(waits + 1, random);
          if (wait > MAX_RATE_LIMIT_WAIT_MS) throw thrown;
          const ends = call.signal === undefined
            ? lost.signal
            : AbortSignal.any([lost.signal, call.signal]);
          await clock.sleep(wait, ends);
        }
      }
    },
  };
}

function checkUrl(text: string): string {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new MessagingError("bad-url", `Cannot use the homeserver "${text}": it is not a URL`, {
      status: 400,
      hint: "give it as https://host[:port]",
    });
  }
  if ((url.protocol !== "https:" && url.protocol !== "http:") || url.username !== "") {
    throw new MessagingError(
      "bad-url",
      `Cannot use the homeserver "${url.protocol}//${url.host}": it must be http or https without a user`,
      { status: 400 },
    );
  }
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

function parseJson(text: string): unknown {
  try {
    const json = JSON.parse(text);
    return typeof json === "object" && json !== null ? json : undefined;
  } catch {
    return undefined;
  }
}
