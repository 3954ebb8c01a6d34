// SPDX-License-Identifier: Apache-2.0

/** Serves an `Api` table on a Unix socket: routing, body parsing and errors in one place. */
import * as z from "zod/mini";
import { concatBytes } from "../bytes.ts";
import { BureauError, messageOf } from "../errors.ts";
import type { Api, Route } from "./api.ts";
import { HttpApiError } from "./errors.ts";

/** Largest accepted request body: 1 MiB, as the reference service protocol has it. */
const MAX_BODY_BYTES = 1024 * 1024;

type RequestBody<R extends Route> = R["request"] extends z.ZodMiniType ? z.infer<R["request"]>
  : undefined;
export type ResponseBody<R extends Route> = R["response"] extends z.ZodMiniType
  ? z.infer<R["response"]>
  : void;

/** What a handler gets: everything already parsed. */
export interface Call<R extends Route> {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly body: RequestBody<R>;
  readonly request: Request;
}

export type Handlers<A extends Api> = {
  readonly [K in keyof A["routes"]]: (
    call: Call<A["routes"][K]>,
  ) => ResponseBody<A["routes"][K]> | Response | Promise<ResponseBody<A["routes"][K]> | Response>;
};

interface CompiledRoute {
  readonly route: Route;
  readonly segments: readonly string[];
  readonly handle: (call: Call<Route>) => unknown;
}

/** Builds the request handler of `api`; a `BureauError` becomes its body and status, anything else a 500. */
export function createHandler<A extends Api>(
  api: A,
  handlers: Handlers<A>,
): (request: Request) => Promise<Response> {
  const routes: CompiledRoute[] = Object.entries(api.routes).map(([name, route]) => ({
    route,
    segments: route.path.split("/").slice(1),
    handle: handlers[name as keyof A["routes"]] as unknown as (call: Call<Route>) => unknown,
  }));
  return async (request) => {
    try {
      return await dispatch(routes, request);
    } catch (thrown) {
      if (thrown instanceof BureauError) {
        return Response.json(thrown.toBody(), { status: thrown.status });
      }
      return Response.json(
        { error: { code: "internal", message: `Cannot serve the request: ${messageOf(thrown)}` } },
        { status: 500 },
      );
    }
  };
}

async function dispatch(routes: readonly CompiledRoute[], request: Request): Promise<Response> {
  const url = new URL(request.url);
  const segments = url.pathname.split("/").slice(1);
  const atPath = routes.flatMap((compiled) => {
    const params = matchPath(compiled.segments, segments);
    return params === null ? [] : [{ compiled, params }];
  });
  if (atPath.length === 0) {
    throw new HttpApiError("not-found", `Cannot find "${url.pathname}": no such endpoint`, {
      status: 404,
    });
  }
  const match = atPath.find(({ compiled }) => compiled.route.method === request.method);
  if (match === undefined) {
    const allowed = atPath.map(({ compiled }) => compiled.route.method).join(", ");
    throw new HttpApiError(
      "method-not-allowed",
      `Cannot ${request.method} "${url.pathname}": it takes ${allowed}`,
      { status: 405 },
    );
  }
  const { route, handle } = match.compiled;
  const body = route.request === undefined ? undefined : await readBody(route, request);
  const result = await handle({
    params: match.params,
    query: url.searchParams,
    body: body as never,
    request,
  });
  if (result instanceof Response) return result;
  return result === undefined ? new Response(null, { status: 204 }) : Response.json(result);
}

function matchPath(
  pattern: readonly string[],
  segments: readonly string[],
): Record<string, string> | null {
  const isOpen = pattern.at(-1) === "*";
  if (isOpen ? segments.length < pattern.length : segments.length !== pattern.length) return null;
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    if (part === "*") break;
    const segment = segments[index]!;
    if (!part.startsWith(":")) {
      if (part !== segment) return null;
      continue;
    }
    if (segment === "") return null;
    try {
      params[part.slice(1)] = decodeURIComponent(segment);
    } catch {
      return null;
    }
  }
  return params;
}

async function readBody(route: Route, request: Request): Promise<unknown> {
  const bytes = await readLimited(request, MAX_BODY_BYTES);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new HttpApiError("bad-json", "Cannot read the request body: it is not JSON", {
      status: 400,
    });
  }
  const parsed = z.safeParse(route.request!, json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue === undefined || issue.path.length === 0 ? "body" : issue.path.join(".");
    throw new HttpApiError(
      "bad-request",
      `Cannot read the request body: ${where}: ${issue?.message ?? "invalid"}`,
      { status: 400 },
    );
  }
  return parsed.data;
}

async function readLimited(request: Request, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > limit) {
      throw new HttpApiError("too-large", `Cannot read the request body: over ${limit} bytes`, {
        status: 413,
      });
    }
    chunks.push(chunk);
  }
  return concatBytes(chunks, length);
}

export interface ListenOptions {
  /** Socket mode; default 0660. The directory's mode is what keeps strangers out meanwhile. */
  readonly mode?: number;
  readonly signal?: AbortSignal;
  readonly onError?: (error: unknown) => void;
}

/**
 * Listens on `path`, removing a stale socket of an earlier life first: each socket has one owner, and
 * a process that was killed leaves its file behind.
 */
export async function listenUnix(
  path: string,
  handler: (request: Request) => Response | Promise<Response>,
  options: ListenOptions = {},
): Promise<Deno.HttpServer<Deno.UnixAddr>> {
  await removeStale(path);
  const server = Deno.serve({
    path,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    onListen() {},
    onError(error) {
      options.onError?.(error);
      return Response.json(
        { error: { code: "internal", message: "Cannot serve the request" } },
        { status: 500 },
      );
    },
  }, handler);
  await Deno.chmod(path, options.mode ?? 0o660);
  return server;
}

async function removeStale(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  }
}

/**
 * A server-sent event stream.
 *
 * @param subscribe called once; its `send` writes one `data:` event as JSON; returns the unsubscriber
 * @param signal ends the stream, e.g. on shutdown
 */
export function sseResponse(
  subscribe: (send: (data: unknown) => void) => () => void,
  signal?: AbortSignal,
): Response {
  const encoder = new TextEncoder();
  let unsubscribe: (() => void) | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      let open = true;
      const send = (data: unknown) => {
        if (open) controller.enqueue(encoder.encode(`data: ${JSON.stringify(data)}\n\n`));
      };
      const close = () => {
        if (!open) return;
        open = false;
        controller.close();
      };
      // A first comment flushes the headers, so that the client knows it is subscribed.
      controller.enqueue(encoder.encode(":\n\n"));
      const end = subscribe(send);
      unsubscribe = () => {
        open = false;
        end();
        signal?.removeEventListener("abort", onAbort);
      };
      const onAbort = () => {
        close();
        unsubscribe?.();
      };
      if (signal?.aborted) onAbort();
      else signal?.addEventListener("abort", onAbort, { once: true });
    },
    cancel() {
      unsubscribe?.();
    },
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}
