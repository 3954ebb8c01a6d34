// SPDX-License-Identifier: Apache-2.0

/** The Client-Server API over plain HTTP: what a test sends and what came back, nothing in between. */

export interface Reply {
  readonly status: number;
  /** Parsed when it is JSON, bytes otherwise. */
  // Answers are looked at field by field; a schema for each would hide what a test is about.
  // deno-lint-ignore no-explicit-any
  readonly body: any;
  readonly headers: Headers;
}

export interface RequestOptions {
  readonly token?: string;
  /** An object is sent as JSON; bytes and text go as they are. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** No homeserver in a test takes longer to answer, a long poll included. */
const TIMEOUT_MS = 90_000;
/** A shared homeserver may limit the rate; it says for how long, and this often is listened to. */
const RETRIES = 20;

/** A path without a leading slash is below `/_matrix/client/v3/`. */
export function absolutePath(path: string): string {
  return path.startsWith("/") ? path : `/_matrix/client/v3/${path}`;
}

/** One request; waits and asks again where the homeserver limits the rate. */
export async function request(
  homeserver: string,
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<Reply> {
  for (let attempt = 1;; attempt++) {
    const reply = await once(`${homeserver}${absolutePath(path)}`, method, options);
    if (reply.status !== 429 || attempt === RETRIES) return reply;
    const wait = Number(reply.body?.retry_after_ms ?? 1_000);
    await new Promise((resolve) => setTimeout(resolve, Math.min(wait, 30_000)));
  }
}

async function once(url: string, method: string, options: RequestOptions): Promise<Reply> {
  const { body, token } = options;
  const raw = typeof body === "string" || body instanceof Uint8Array;
  const response = await fetch(url, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined || raw ? {} : { "content-type": "application/json" }),
      ...options.headers,
    },
    ...(body === undefined ? {} : { body: raw ? body as BodyInit : JSON.stringify(body) }),
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const json = response.headers.get("content-type")?.startsWith("application/json") === true &&
    !response.headers.has("content-disposition");
  return {
    status: response.status,
    body: json ? parse(bytes) : bytes,
    headers: response.headers,
  };
}

function parse(bytes: Uint8Array): unknown {
  const text = new TextDecoder().decode(bytes);
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    throw new Error(`the homeserver says it is JSON, and it is not: ${text.slice(0, 200)}`);
  }
}
