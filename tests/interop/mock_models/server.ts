// SPDX-License-Identifier: Apache-2.0

/**
 * Model providers on a loopback port: `POST /v1/messages` (Anthropic), `/v1/chat/completions` and
 * `/v1/responses` (OpenAI), `/v1/models`. Each wants its own key where its API does, and answers what the
 * test's script says in the wire format of who asks.
 */
import { anthropic } from "./anthropic.ts";
import { openaiChat } from "./openai_chat.ts";
import { openaiResponses } from "./openai_responses.ts";
import {
  type Ask,
  type Fail,
  nextId,
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
}

export interface MockModels {
  readonly port: number;
  /** Every request that had the right key. */
  readonly asks: readonly Ask[];
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
  let strangers = 0;
  let abandoned = 0;
  const serve = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    const format = FORMATS[pathname] ?? (pathname.startsWith("/v1/messages") ? anthropic : null);
    const requestId = nextId("req_");
    if (!hasKey(request.headers, format, options.keys)) {
      strangers++;
      return refusal(format ?? openaiChat, requestId, {
        kind: "fail",
        status: 401,
        type: "authentication_error",
        message: "invalid x-api-key",
      });
    }
    if (request.method === "GET" && pathname === "/v1/models") return models();
    if (request.method !== "POST" || format === null) {
      return refusal(openaiChat, requestId, {
        kind: "fail",
        status: 404,
        type: "not_found_error",
        message: `no ${request.method} ${pathname} here`,
      });
    }
    const ask = format.readAsk(await request.json());
    if (pathname === "/v1/messages/count_tokens") return Response.json({ input_tokens: 11 });
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
  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: options.port ?? 0,
    onListen: () => {},
    ...(options.tls ?? {}),
  }, serve);
  return {
    port: server.addr.port,
    asks,
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
      controller.enqueue(encode(event));
      hold = held !== undefined && isText(event, say);
      if (sent === say.failAfter) return controller.close();
      sent++;
    },
    cancel: onAbandoned,
  }, { highWaterMark: 0 });
}
