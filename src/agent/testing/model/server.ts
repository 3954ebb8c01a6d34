// SPDX-License-Identifier: Apache-2.0

/**
 * Model providers on a loopback port or a Unix socket: `POST /v1/messages` (Anthropic), `/v1/chat/completions` and
 * `/v1/responses` (OpenAI), `/v1/models`. Each wants its own key where its API does, and answers what the
 * test's script says in the wire format of who asks.
 */
import { anthropic } from "./anthropic.ts";
import { openaiChat } from "./openai_chat.ts";
import { openaiResponses } from "./openai_responses.ts";
import {
  type Ask,
  type Fail,
  fail,
  fieldsOf,
  nextId,
  type Recorded,
  type Reply,
  type Say,
  type Script,
  type ServerEvent,
  type WireFormat,
} from "./script.ts";

export interface ModelsOptions {
  readonly script: Script;
  /** What a request must carry: `x-api-key` or a bearer for Anthropic, a bearer for OpenAI. */
  readonly keys: { readonly anthropic: string; readonly openai: string };
  /** PEM; absent: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Absent: a free one. */
  readonly port?: number;
  /** Path of a Unix socket to listen on instead. */
  readonly socket?: string;
}

export interface MockModels {
  /** 0 on a Unix socket. */
  readonly port: number;
  /** Every request for an answer that had the right key. */
  readonly asks: readonly Ask[];
  /** Every request, as it came. */
  readonly requests: readonly Recorded[];
  /** How many came without it. */
  readonly strangers: () => number;
  /** Streams whose reader left before the end. */
  readonly abandoned: () => number;
  stop(): Promise<void>;
}

const FORMATS: Readonly<Record<string, WireFormat>> = {
  "/v1/messages": anthropic,
  "/v1/chat/completions": openaiChat,
  "/v1/responses": openaiResponses,
};

export function startModels(options: ModelsOptions): MockModels {
  const asks: Ask[] = [];
  const requests: Recorded[] = [];
  let strangers = 0;
  let abandoned = 0;
  const serve = async (request: Request): Promise<Response> => {
    const { pathname, search } = new URL(request.url);
    const { method, headers } = request;
    const body = await request.text();
    requests.push({ method, path: pathname + search, headers: new Headers(headers), body });
    const format = FORMATS[pathname] ?? (pathname.startsWith("/v1/messages") ? anthropic : null);
    const requestId = nextId("req_");
    if (!hasKey(request.headers, format, options.keys)) {
      strangers++;
      const stranger = fail(401, "authentication_error", "invalid x-api-key");
      return refusal(format ?? openaiChat, requestId, stranger);
    }
    if (request.method === "GET" && pathname === "/v1/models") return models();
    if (request.method !== "POST" || format === null) {
      const nothing = fail(404, "not_found_error", `no ${request.method} ${pathname} here`);
      return refusal(openaiChat, requestId, nothing);
    }
    const fields = parse(body);
    if (fields === null) {
      const broken = fail(400, "invalid_request_error", "The request body is not valid JSON");
      return refusal(format, requestId, broken);
    }
    const ask = format.readAsk(fields);
    if (pathname === "/v1/messages/count_tokens") {
      // Four characters are a token, as estimators begin with.
      return Response.json({
        input_tokens: Math.ceil(JSON.stringify(fields["messages"]).length / 4),
      });
    }
    const fault = format.fault(fields, headers);
    if (fault !== null) {
      return refusal(format, requestId, fail(400, "invalid_request_error", fault));
    }
    asks.push(ask);
    const reply: Reply = await options.script(ask);
    if (reply.kind === "fail") return refusal(format, requestId, reply);
    if (!ask.stream) {
      return Response.json(format.whole(ask, reply), { headers: idHeaders(requestId) });
    }
    return new Response(stream(format, ask, reply, () => abandoned++), {
      headers: {
        ...idHeaders(requestId),
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
      },
    });
  };
  const onListen = () => {};
  const server = options.socket === undefined
    ? Deno.serve({
      hostname: "127.0.0.1",
      port: options.port ?? 0,
      onListen,
      ...(options.tls ?? {}),
    }, serve)
    : Deno.serve({ path: options.socket, onListen }, serve);
  return {
    port: "port" in server.addr ? server.addr.port : 0,
    asks,
    requests,
    strangers: () => strangers,
    abandoned: () => abandoned,
    stop: () => server.shutdown(),
  };
}

function hasKey(
  headers: Headers,
  format: WireFormat | null,
  keys: ModelsOptions["keys"],
): boolean {
  const bearer = headers.get("authorization") ?? "";
  const anthropicKey = headers.get("x-api-key") === keys.anthropic ||
    bearer === `Bearer ${keys.anthropic}`;
  const openaiKey = bearer === `Bearer ${keys.openai}`;
  if (format === null) return anthropicKey || openaiKey;
  return format.api === "anthropic" ? anthropicKey : openaiKey;
}

function parse(body: string): Readonly<Record<string, unknown>> | null {
  try {
    return fieldsOf(JSON.parse(body));
  } catch {
    return null;
  }
}

function idHeaders(requestId: string): Record<string, string> {
  return { "request-id": requestId, "x-request-id": requestId };
}

function models(): Response {
  const data = ["mock-large", "mock-small"].map((id) => ({
    id,
    type: "model",
    object: "model",
    display_name: id,
    created_at: "2026-01-01T00:00:00Z",
    created: 1_700_000_000,
    owned_by: "mock",
  }));
  return Response.json({
    object: "list",
    data,
    has_more: false,
    first_id: data[0]!.id,
    last_id: data.at(-1)!.id,
  });
}

function refusal(format: WireFormat, requestId: string, fail: Fail): Response {
  const after = fail.retryAfterSeconds;
  return Response.json(format.error(fail, requestId), {
    status: fail.status,
    headers: {
      ...idHeaders(requestId),
      ...(after === undefined ? {} : { "retry-after": String(after) }),
    },
  });
}

function encode({ event, data }: ServerEvent): Uint8Array<ArrayBuffer> {
  const name = event === undefined ? "" : `event: ${event}\n`;
  const text = typeof data === "string" ? data : JSON.stringify(data);
  return new TextEncoder().encode(`${name}data: ${text}\n\n`);
}

/** Whether an event carries words of the answer: the first of them is what a hold comes after. */
function isText({ data }: ServerEvent, say: Say): boolean {
  const first = say.text?.[0];
  return first !== undefined && JSON.stringify(data).includes(JSON.stringify(first));
}

function stream(
  format: WireFormat,
  ask: Ask,
  say: Say,
  onAbandoned: () => void,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const events = format.events(ask, say);
  let sent = 0;
  let held = say.holdAfterFirst;
  let hold = false;
  return new ReadableStream({
    pull: async (controller) => {
      if (hold) {
        hold = false;
        await held;
        held = undefined;
      }
      // What was written must be on its way before the cut, or nobody could tell it from a refusal.
      if (sent === say.dropAfter) return controller.error(new Error("cut by the script"));
      const event = sent === say.failAfter ? format.errorEvent() : events[sent];
      if (event === undefined) return controller.close();
      const bytes = encode(event);
      const step = say.pieceBytes ?? bytes.length;
      for (let at = 0; at < bytes.length; at += step) {
        controller.enqueue(bytes.subarray(at, at + step));
      }
      hold = held !== undefined && isText(event, say);
      if (sent === say.failAfter) return controller.close();
      sent++;
    },
    cancel: onAbandoned,
  }, { highWaterMark: 0 });
}
