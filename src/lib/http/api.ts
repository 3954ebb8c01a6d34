// SPDX-License-Identifier: Apache-2.0

/**
 * How an internal interface is written down once: a table of routes with zod schemas, imported by
 * the server, by the client and by the OpenAPI generator. See `server.ts` and `client.ts`.
 */
import type * as z from "zod/mini";

export interface Route {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Path with `:name` parameters, each one percent-encoded segment; a `*` at its end is one segment and more. */
  readonly path: string;
  readonly summary: string;
  /** Body schema of the request; absent: no body is read. */
  readonly request?: z.ZodMiniType;
  /** Body schema of a 200 response; absent: 204, or a stream the handler describes in `summary`. */
  readonly response?: z.ZodMiniType;
  /** Query parameters by name, with what they mean. */
  readonly query?: Readonly<Record<string, string>>;
  /** `json` (default), `sse`, `text`, or `websocket`. */
  readonly kind?: "json" | "sse" | "text" | "websocket";
}

export interface Api {
  readonly title: string;
  readonly version: string;
  readonly routes: Readonly<Record<string, Route>>;
}

/** Declares an interface, keeping literal types for the client and the server. */
export function defineApi<const A extends Api>(api: A): A {
  return api;
}
