// SPDX-License-Identifier: Apache-2.0

/** `/http/<service>/…`: the agent's request with the service's credentials, streamed both ways. */
import type { BoundService } from "./api.ts";
import { meteredExchange } from "./budget/exchange.ts";
import type { BudgetMeter } from "./budget/meter.ts";
import { parseUpstream } from "./destination.ts";
import { concatBytes } from "../lib/bytes.ts";
import { type Destination, openWire } from "./egress.ts";
import { badRequest, ProxyError } from "./errors.ts";
import { HeaderPolicy } from "./headers.ts";
import { BodyPolicy } from "./inject_body.ts";
import { normalisePath } from "./path.ts";
import { QueryPolicy } from "./query.ts";
import { RequestRules } from "./rules.ts";
import { scrubBody, Secrets, secretValues } from "./scrub.ts";
import type { LoggedRequest } from "./log.ts";
import { withSpan } from "./trace.ts";
import type { ResponseHead } from "./http1/head.ts";
import { ResponseReader } from "./http1/reader.ts";
import { type IncomingResponse, latin1Bytes, Upstream, type UpstreamOptions } from "./upstream.ts";
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
  readonly scrubber?: ReturnType<Secrets["stream"]>;
}

export class ServiceForwarder {
  readonly upstream: Upstream;
  readonly #egressSocket: string;
  readonly #destination: Destination;
  readonly #base: string;
  readonly #headers: HeaderPolicy;
  readonly #query: QueryPolicy;
  readonly #body: BodyPolicy;
  readonly #secrets: Secrets;
  readonly #rules: RequestRules;
  readonly #meter: BudgetMeter;

  /** @throws {ProxyError} when the service's upstream is not one that a credential may go to */
  constructor(
    name: string,
    service: BoundService,
    environment: UpstreamEnvironment,
    meter: BudgetMeter,
  ) {
    this.#meter = meter;
    const { destination, base } = parseUpstream(service.upstream, service.ca);
    this.#base = base;
    this.#egressSocket = environment.egressSocket;
    this.#destination = destination;
    const values = secretValues(service);
    this.#secrets = new Secrets(values);
    // An answer that is encoded could not be searched for secrets without decoding it.
    const inject = this.#secrets.isEmpty
      ? service.inject_headers
      : { ...service.inject_headers, "Accept-Encoding": "identity" };
    this.#headers = new HeaderPolicy(inject, service.strip_headers, values);
    this.#query = new QueryPolicy(service.inject_query ?? {});
    this.#body = new BodyPolicy(service.inject_body ?? {});
    this.#rules = new RequestRules(name, service.allow, service.deny);
    this.upstream = new Upstream({ ...environment, destination });
  }

  /** @throws {ProxyError} `encoding-refused`, after giving the exchange up */
  #scrub({ body }: IncomingResponse, encoding: string) {
    try {
      return scrubBody(body, encoding, this.#secrets);
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
    const target = this.#base + normal + this.#query.toUpstream(query);
    const { body, length } = await this.#requestBody(request);
    const headers = this.#headers.toUpstream(request.headers);
    const response = await meteredExchange(this.#meter, this.upstream, {
      method,
      target,
      headers: logged === undefined ? headers : withSpan(headers, logged.span),
      body,
      length,
      ...(logged === undefined ? {} : { bytes: logged.bytes }),
    }, request.signal);
    return this.#answer(method, response);
  }

  /**
   * The WebSocket handshake (RFC 6455 §4) with the service's credentials. The frames pass unread.
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
    // Compressed frames could not be searched for secrets.
    if (!this.#secrets.isEmpty) headers.delete("sec-websocket-extensions");
    const lines = this.#headers.toUpstream(headers);
    const target = this.#base + normal + this.#query.toUpstream(query);
    const wire = await openWire(this.#egressSocket, this.#destination, signal);
    try {
      await wire.write(latin1Bytes(
        `GET ${target} HTTP/1.1\r\n${this.upstream.hostLine}${lines}` +
          "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
      ));
      const reader = new ResponseReader(wire);
      const head = await reader.readSwitch();
      if (head.status !== 101) {
        throw new ProxyError(
          "upgrade-refused",
          `Cannot open the WebSocket: the upstream answered ${head.status}`,
          { status: head.status >= 400 ? head.status : 502 },
        );
      }
      const answer = this.#headers.toCaller(head.headers)
        .map(([name, value]) => `${name}: ${value}\r\n`).join("");
      const scrubber = this.#secrets.isEmpty ? undefined : this.#secrets.stream();
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

  async #requestBody(
    request: Request,
  ): Promise<{ body: ReadableStream<Uint8Array> | Uint8Array | null; length: number | null }> {
    const given = requestBody(request);
    if (this.#body.isEmpty || given.body === null) return given;
    const { headers } = request;
    return { body: await this.#body.toUpstream(headers, given.body, given.length), length: null };
  }

  #answer(method: string, response: IncomingResponse): Response {
    const { head } = response;
    let headers = this.#headers.toCaller(head.headers);
    const bodiless = head.status === 204 || head.status === 304;
    let body: BodyInit | null = bodiless || method === "HEAD" ? null : response.body;
    let decoded = false;
    if (body !== null && !this.#secrets.isEmpty) {
      const encoding = valueOf(head.headers, "content-encoding") ?? "";
      body = this.#scrub(response, encoding);
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

function valueOf(headers: ResponseHead["headers"], wanted: string): string | undefined {
  return headers.find(([name]) => name === wanted)?.[1];
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
