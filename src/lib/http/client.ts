// SPDX-License-Identifier: Apache-2.0

/** Calls an `Api` table over a Unix socket. */
import * as z from "zod/mini";
import { messageOf } from "../errors.ts";
import type { Api, Route } from "./api.ts";
import { HttpApiError, parseErrorBody } from "./errors.ts";
import type { ResponseBody } from "./server.ts";

/**
 * The host in every request over a Unix socket: an address that leads nowhere (TEST-NET-1, RFC 5737). Not a
 * name: Deno asks the resolver for it though nothing connects there, which takes seconds where nobody answers.
 */
export const UNIX_HOST = "192.0.2.1";

export interface ClientOptions {
  readonly socket: string;
  /** Sent as `Authorization: Bearer …`; a function is asked for each request, but not for a WebSocket. */
  readonly token?: string | (() => Promise<string>);
  /** Where the interface begins behind that socket: `/v1/services/agent/call`. */
  readonly prefix?: string;
  /** Name of the peer in error messages; default the api's title. */
  readonly peer?: string;
}

const MAX_TEXT_LENGTH = 1024 * 1024;

export interface CallOptions {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Sent as it is, in the place of a `body`. */
  readonly bytes?: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
  readonly signal?: AbortSignal;
}

export interface Client<A extends Api> {
  /** @throws {HttpApiError} with the server's code, or `unreachable` when nothing listens */
  call<K extends keyof A["routes"] & string>(
    name: K,
    options?: CallOptions,
  ): Promise<ResponseBody<A["routes"][K]>>;
  /** The answer of a route of kind `text`; one of more than a megabyte is refused. */
  text(name: keyof A["routes"] & string, options?: CallOptions): Promise<string>;
  /** The answer of a route of kind `text` as it comes, however long it is. */
  stream(
    name: keyof A["routes"] & string,
    options?: CallOptions,
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** The events of an SSE route, until the server or `signal` ends it. */
  events(name: keyof A["routes"] & string, options?: CallOptions): AsyncGenerator<unknown>;
  /** Opens a WebSocket route; authorisation travels in the `token` query parameter's place, a header. */
  websocket(
    name: keyof A["routes"] & string,
    options?: Omit<CallOptions, "body"> & { readonly protocol?: string },
  ): WebSocket;
  close(): void;
}

export function createClient<A extends Api>(api: A, options: ClientOptions): Client<A> {
  const http = Deno.createHttpClient({ proxy: { transport: "unix", path: options.socket } });
  const peer = options.peer ?? api.title;
  const { token, prefix = "" } = options;
  const bearer = (value: string) => ({ authorization: `Bearer ${value}` });

  async function request(route: Route, call: CallOptions): Promise<Response> {
    const url = `http://${UNIX_HOST}${prefix}${buildPath(route, call)}`;
    const headers: Record<string, string> = token === undefined
      ? {}
      : bearer(typeof token === "string" ? token : await token());
    const body = call.bytes ?? (call.body === undefined ? null : JSON.stringify(call.body));
    let response: Response;
    try {
      response = await fetch(url, {
        client: http,
        method: route.method,
        headers: call.body === undefined
          ? headers
          : { ...headers, "content-type": "application/json" },
        ...(body === null ? {} : { body }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      });
    } catch (thrown) {
      if (call.signal?.aborted) throw call.signal.reason;
      throw new HttpApiError(
        "unreachable",
        `Cannot reach the ${peer} at "${options.socket}": ${messageOf(thrown)}`,
        { cause: thrown, status: 502, hint: "is Bureau running? Start it with `deno task up`" },
      );
    }
    if (!response.ok) throw await errorFrom(response, peer);
    return response;
  }

  return {
    async call(name, call = {}) {
      const route = api.routes[name]!;
      const response = await request(route, call);
      if (route.response === undefined) {
        await response.body?.cancel();
        return undefined as never;
      }
      const parsed = z.safeParse(route.response, await response.json());
      if (!parsed.success) {
        const issue = parsed.error.issues[0];
        throw new HttpApiError(
          "bad-response",
          `Cannot read the answer of the ${peer}: ${issue?.path.join(".")}: ${issue?.message}`,
          { status: 502, hint: "both ends must come from the same release" },
        );
      }
      return parsed.data as never;
    },
    async text(name, call = {}) {
      const response = await request(api.routes[name]!, call);
      let text = "";
      for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        text += part;
        if (text.length <= MAX_TEXT_LENGTH) continue;
        throw new HttpApiError("bad-response", `Cannot read the answer of the ${peer}: too long`, {
          status: 502,
        });
      }
      return text;
    },
    async stream(name, call = {}) {
      const { body } = await request(api.routes[name]!, call);
      return body ?? ReadableStream.from([]);
    },
    async *events(name, call = {}) {
      const response = await request(api.routes[name]!, call);
      yield* readEvents(response);
    },
    websocket(name, call = {}) {
      const url = `ws://${UNIX_HOST}${prefix}${buildPath(api.routes[name]!, call)}`;
      return new WebSocket(url, {
        client: http,
        headers: typeof token === "string" ? bearer(token) : {},
        ...(call.protocol === undefined ? {} : { protocols: [call.protocol] }),
      });
    },
    close: () => http.close(),
  };
}

function buildPath(route: Route, call: CallOptions): string {
  const path = route.path.split("/").map((part) => {
    if (!part.startsWith(":")) return part;
    const value = call.params?.[part.slice(1)];
    if (value === undefined || value === "") {
      throw new HttpApiError("bad-request", `Cannot build "${route.path}": ${part} is missing`);
    }
    return encodeURIComponent(value);
  }).join("/");
  const query = new URLSearchParams(call.query ?? {}).toString();
  return query === "" ? path : `${path}?${query}`;
}

async function errorFrom(response: Response, peer: string): Promise<HttpApiError> {
  const text = await response.text().catch(() => "");
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Not JSON: reported by status below.
  }
  const error = parseErrorBody(body);
  if (error === null) {
    return new HttpApiError(
      "bad-response",
      `Cannot read the answer of the ${peer}: status ${response.status} without an error body`,
      { status: response.status },
    );
  }
  return new HttpApiError(error.code, error.message, {
    status: response.status,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

async function* readEvents(response: Response): AsyncGenerator<unknown> {
  let pending = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    pending += decoder.decode(chunk, { stream: true });
    let end: number;
    while ((end = pending.indexOf("\n\n")) >= 0) {
      const block = pending.slice(0, end);
      pending = pending.slice(end + 2);
      const data = block.split("\n")
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(5).trimStart())
        .join("\n");
      if (data !== "") yield JSON.parse(data);
    }
  }
}
