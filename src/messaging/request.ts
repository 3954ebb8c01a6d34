// SPDX-License-Identifier: Apache-2.0

/** One request to a homeserver: encoding, errors, 429. Retrying anything else is the caller's choice. */
import { type Clock, systemClock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { MessagingError } from "./errors.ts";

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
}

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  /** What a person would say was tried, e.g. `join "#a:b"`. */
  readonly what: string;
}

export type Requester = <T>(
  method: "GET" | "PUT" | "POST" | "DELETE",
  path: string,
  options: RequestOptions,
) => Promise<T>;

/** Builds a path of fixed text and percent-encoded names: a room id or state key never adds a segment. */
export function path(parts: TemplateStringsArray, ...names: readonly string[]): string {
  return parts.reduce((text, part, at) => text + encodeURIComponent(names[at - 1]!) + part);
}

/** @throws {MessagingError} `bad-url` when the address is no http(s) URL */
export function createRequester(options: RequesterOptions): Requester {
  const clock = options.clock ?? systemClock;
  const fetchFn = options.fetch ?? fetch;
  const base = checkUrl(options.homeserverUrl);

  async function once<T>(method: string, path: string, call: RequestOptions): Promise<T> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) query.set(name, String(value));
    }
    const deadline = AbortSignal.timeout(call.timeoutMs ?? REQUEST_TIMEOUT_MS);
    let response: Response;
    let text: string;
    try {
      response = await fetchFn(`${base}${path}${query.size === 0 ? "" : `?${query}`}`, {
        method,
        // A redirect would carry the access token to wherever the answer points.
        redirect: "error",
        headers: {
          ...(options.accessToken === undefined
            ? {}
            : { authorization: `Bearer ${options.accessToken}` }),
          ...(call.body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        signal: call.signal === undefined ? deadline : AbortSignal.any([deadline, call.signal]),
      });
      text = await response.text();
    } catch (thrown) {
      if (call.signal?.aborted) throw call.signal.reason;
      throw new MessagingError(
        "unreachable",
        `Cannot ${call.what}: the homeserver at ${base} does not answer (${messageOf(thrown)})`,
        {
          status: 502,
          cause: thrown,
          hint: `check that it runs: curl ${base}/_matrix/client/versions`,
        },
      );
    }
    const json = parseJson(text);
    if (response.ok && json !== undefined) return json as T;
    throw refusal(call.what, base, response.status, json, response.headers.get("retry-after"));
  }

  return async (method, path, call) => {
    for (let waits = 0;; waits++) {
      try {
        return await once(method, path, call);
      } catch (thrown) {
        const limited = thrown instanceof MessagingError && thrown.status === 429;
        if (!limited || waits >= MAX_RATE_LIMIT_WAITS) throw thrown;
        const wait = thrown.retryAfterMs ?? 1000 * 2 ** waits;
        if (wait > MAX_RATE_LIMIT_WAIT_MS) throw thrown;
        await clock.sleep(wait, call.signal);
      }
    }
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

const HINTS: Readonly<Record<string, string>> = {
  M_UNKNOWN_TOKEN:
    "the session ended or was revoked: `deno task down`, then `deno task up`, logs in again",
  M_FORBIDDEN: "the account lacks the membership or power level for this",
  M_LIMIT_EXCEEDED: "try again later",
};

function refusal(
  what: string,
  base: string,
  status: number,
  json: unknown,
  retryAfter: string | null,
): MessagingError {
  const body = (json ?? {}) as Record<string, unknown>;
  const errcode = typeof body["errcode"] === "string" ? body["errcode"] : undefined;
  if (errcode === undefined && status !== 429) {
    return new MessagingError(
      "bad-answer",
      `Cannot ${what}: ${base} answered ${status} without a Matrix error`,
      { status: status >= 400 ? status : 502, hint: `is ${base} a Matrix homeserver?` },
    );
  }
  const name = errcode ?? "M_LIMIT_EXCEEDED";
  const said = typeof body["error"] === "string" ? body["error"].slice(0, 300) : name;
  const hint = HINTS[name];
  const wait = typeof body["retry_after_ms"] === "number"
    ? body["retry_after_ms"]
    : retryAfter !== null && /^\d+$/.test(retryAfter)
    ? Number(retryAfter) * 1000
    : undefined;
  return new MessagingError(
    name.replace(/^M_/, "").toLowerCase().replaceAll("_", "-"),
    `Cannot ${what}: ${said.replace(/\.$/, "")}`,
    {
      status,
      errcode: name,
      ...(hint === undefined ? {} : { hint }),
      ...(wait === undefined ? {} : { retryAfterMs: wait }),
    },
  );
}
