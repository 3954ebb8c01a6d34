// SPDX-License-Identifier: Apache-2.0

/** `/http/<service>/…`: the agent's request with the service's credentials, streamed both ways. */
import type { BoundService } from "./api.ts";
import type { Live } from "./credentials/source.ts";
import { meteredExchange } from "./budget/exchange.ts";
import type { BudgetMeter } from "./budget/meter.ts";
import { parseUpstream } from "./destination.ts";
import { concatBytes } from "../lib/bytes.ts";
import { type Destination, openWire } from "./egress.ts";
import { badRequest, credentialExpired, ProxyError } from "./errors.ts";
import { HeaderPolicy } from "./headers.ts";
import { BodyPolicy } from "./inject_body.ts";
import { normalisePath } from "./path.ts";
import { QueryPolicy } from "./query.ts";
import { RequestRules } from "./rules.ts";
import { scrubBody, Secrets, secretValues } from "./scrub.ts";
import type { LoggedRequest } from "./log.ts";
import { WebSocketScrubber } from "./swap/websocket_scrub.ts";
import { withSpan } from "./trace.ts";
import type { ResponseHead } from "./http1/head.ts";
import { ResponseReader } from "./http1/reader.ts";
import {
  type IncomingResponse,
  latin1Bytes,
  type OutgoingRequest,
  Upstream,
  type UpstreamOptions,
} from "./upstream.ts";
import type { Wire } from "./wire.ts";

/** TRACE would send the injected credentials back; CONNECT would open a tunnel past this proxy. */
const REFUSED_METHODS = new Set(["TRACE", "TRACK", "CONNECT"]);
const METHOD = /^[A-Z][A-Z_-]{0,31}$/;

export type UpstreamEnvironment = Omit<UpstreamOptions, "destination">;

export interface OpenWebSocket {
  readonly wire: Wire;
  /** For the caller: the answer's head, and the first frames when they came with it. */
  readonly head: Uint8Array;
  /** For what comes after. */
  readonly scrubber?: WebSocketScrubber;
}

export class ServiceForwarder {
  readonly upstream: Upstream;
  readonly #egressSocket: string;
  readonly #destination: Destination;
  readonly #base: string;
  readonly #service: BoundService;
  readonly #now: () => number;
  readonly #live: Live;
  #injection: Injection;
  readonly #rules: RequestRules;
  readonly #meter: BudgetMeter;

  /** @throws {ProxyError} when the service's upstream is not one that a credential may go to */
  constructor(
    name: string,
    service: BoundService,
    environment: UpstreamEnvironment,
    meter: BudgetMeter,
    live: Live,
  ) {
    this.#meter = meter;
    const { destination, base } = parseUpstream(service.upstream, service.ca);
    this.#base = base;
    this.#egressSocket = environment.egressSocket;
    this.#destination = destination;
    this.#service = service;
    this.#now = environment.now;
    this.#live = live.of(secretValues(service));
    this.#injection = injectionOf(service, this.#live);
    this.#rules = new RequestRules(name, service.allow, service.deny);
    this.upstream = new Upstream({ ...environment, destination });
  }

  /** What requests get from now on. @throws {ProxyError} when a credential can't be renewed */
  async #present(): Promise<Injection> {
    for (const [name, end] of Object.entries(this.#service.expires ?? {})) {
      if (end <= this.#now()) throw credentialExpired(`the credential "${name}"`, end);
    }
    if (!this.#live.isFresh) await this.#live.refresh();
    if (this.#injection.generation !== this.#live.generation) {
      this.#injection = injectionOf(this.#service, this.#live);
    }
    return this.#injection;
  }

  /** @throws {ProxyError} `encoding-refused`, after giving the exchange up */
  #scrub({ body }: IncomingResponse, encoding: string, secrets: Secrets) {
    try {
      return scrubBody(body, encoding, secrets);
    } catch (thrown) {
      if (body instanceof ReadableStream) body.cancel().catch(() => {});
      throw thrown;
    }
  }

  /**
   * @param path what follows `/http/<service>`, as received
   * @param query with its question mark, or empty
   */
  async forward(
    request: Request,
    path: string,
    query: string,
    logged?: LoggedRequest,
  ): Promise<Response> {
    const { method } = request;
    if (!METHOD.test(method) || REFUSED_METHODS.has(method)) {
      throw new ProxyError("method-not-allowed", `Cannot forward a ${method} request`, {
        status: 405,
      });
    }
    const normal = normalisePath(path);
    this.#rules.require(method, normal);
    let injection = await this.#present();
    const { body, length } = await bodyToUpstream(request, injection);
    const send = (by: Injection, body: OutgoingRequest["body"]) => {
      const headers = by.headers.toUpstream(request.headers);
      return meteredExchange(this.#meter, this.upstream, {
        method,
        target: this.#base + normal + by.query.toUpstream(query),
        headers: logged === undefined ? headers : withSpan(headers, logged.span),
        body,
        length,
        ...(logged === undefined ? {} : { bytes: logged.bytes }),
      }, request.signal);
    };
    let response = await send(injection, body);
    // Once more with another token, where the body is still there; else the next request gets it.
    if (
      response.head.status === 401 && this.#live.rejected(injection.generation) &&
      injection.body.isEmpty && !(body instanceof ReadableStream)
    ) {
      if (response.body instanceof ReadableStream) response.body.cancel().catch(() => {});
      injection = await this.#present();
      response = await send(injection, body);
    }
    return this.#answer(method, response, injection);
  }

  /**
   * The WebSocket handshake (RFC 6455 §4) with the service's credentials.
   *
   * @throws {ProxyError} `upgrade-refused` with the upstream's status when it is an error
   */
  async openWebSocket(
    headers: Headers,
    path: string,
    query: string,
    signal: AbortSignal,
  ): Promise<OpenWebSocket> {
    const normal = normalisePath(path);
    this.#rules.require("GET", normal);
    const injection = await this.#present();
    const { secrets } = injection;
    // Compressed frames could not be searched for secrets.
    if (!secrets.isEmpty) headers.delete("sec-websocket-extensions");
    const lines = injection.headers.toUpstream(headers);
    const target = this.#base + normal + injection.query.toUpstream(query);
    const wire = await openWire(this.#egressSocket, this.#destination, signal);
    try {
      await wire.write(latin1Bytes(
        `GET ${target} HTTP/1.1\r\n${this.upstream.hostLine}${lines}` +
          "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      ));
      const reader = new ResponseReader(wire);
      const head = await reader.readSwitch();
      if (head.status === 401) this.#live.rejected(injection.generation);
      if (head.status !== 101) {
        throw new ProxyError(
          "upgrade-refused",
          `Cannot open the WebSocket: the upstream answered ${head.status}`,
          { status: head.status >= 400 ? head.status : 502 },
        );
      }
      const answer = injection.headers.toCaller(head.headers)
        .map(([name, value]) => `${name}: ${value}\r\n`).join("");
      const scrubber = secrets.isEmpty ? undefined : new WebSocketScrubber(secrets);
      const rest = reader.takeRest();
      const early = scrubber === undefined ? rest : scrubber.push(rest);
      return {
        wire,
        head: concatBytes([
          latin1Bytes(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
              `${answer}\r\n`,
          ),
          early,
        ]),
        ...(scrubber === undefined ? {} : { scrubber }),
      };
    } catch (thrown) {
      wire.close();
      throw thrown;
    }
  }

  #answer(method: string, response: IncomingResponse, injection: Injection): Response {
    const { head } = response;
    const { secrets } = injection;
    let headers = injection.headers.toCaller(head.headers);
    const bodiless = head.status === 204 || head.status === 304;
    let body: BodyInit | null = bodiless || method === "HEAD" ? null : response.body;
    let decoded = false;
    if (body !== null && !secrets.isEmpty) {
      const encoding = valueOf(head.headers, "content-encoding") ?? "";
      body = this.#scrub(response, encoding, secrets);
      decoded = body !== response.body && encoding !== "" && encoding !== "identity";
      if (decoded) headers = headers.filter(([name]) => name !== "content-encoding");
    }
    if (!decoded && (method === "HEAD" || body instanceof ReadableStream)) {
      // The length is the upstream's word, but the caller needs it: for HEAD it is the answer.
      const said = valueOf(head.headers, "content-length");
      if (said !== undefined && !bodiless) headers.push(["content-length", said]);
    }
    return new Response(body, { status: head.status, headers });
  }
}

/** What one generation of the credentials adds to requests, and takes out of answers. */
interface Injection {
  readonly generation: number;
  readonly headers: HeaderPolicy;
  readonly query: QueryPolicy;
  readonly body: BodyPolicy;
  readonly secrets: Secrets;
}

function injectionOf(service: BoundService, live: Live): Injection {
  const fill = (values: Readonly<Record<string, string>> = {}) =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, live.fill(value)]));
  const filled: BoundService = {
    ...service,
    inject_headers: fill(service.inject_headers),
    inject_query: fill(service.inject_query),
    inject_body: fill(service.inject_body),
    secrets: [...service.secrets ?? [], ...live.secrets],
  };
  const values = secretValues(filled);
  const secrets = new Secrets(values);
  // An answer that is encoded could not be searched for secrets without decoding it.
  const inject = secrets.isEmpty
    ? filled.inject_headers
    : { ...filled.inject_headers, "Accept-Encoding": "identity" };
  return {
    generation: live.generation,
    headers: new HeaderPolicy(inject, service.strip_headers, values, service.append_headers),
    query: new QueryPolicy(filled.inject_query!),
    body: new BodyPolicy(filled.inject_body!),
    secrets,
  };
}

function valueOf(headers: ResponseHead["headers"], wanted: string): string | undefined {
  return headers.find(([name]) => name === wanted)?.[1];
}

async function bodyToUpstream(
  request: Request,
  { body: policy }: Injection,
): Promise<{ body: OutgoingRequest["body"]; length: number | null }> {
  const { body, length } = requestBody(request);
  if (policy.isEmpty || body === null) return { body, length };
  return { body: await policy.toUpstream(request.headers, body, length), length: null };
}

/** The caller's body as it is to be sent. @throws {ProxyError} on a body that cannot be forwarded */
function requestBody(
  request: Request,
): { body: ReadableStream<Uint8Array> | null; length: number | null } {
  const said = request.headers.get("content-length");
  const chunked = request.headers.has("transfer-encoding");
  if (said !== null && !/^\d{1,15}$/.test(said)) {
    throw badRequest("its Content-Length is no number");
  }
  if (!chunked && (said === null || said === "0")) return { body: null, length: null };
  if (request.body === null) {
    // Deno hands over no body for these; dropping it silently would change what was asked.
    throw badRequest(
      `a ${request.method} request cannot carry a body here`,
      "use POST, or put it in the query",
    );
  }
  return { body: request.body, length: chunked ? null : Number(said) };
}
