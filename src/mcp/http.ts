// SPDX-License-Identifier: Apache-2.0

/**
 * Streamable HTTP: many clients, each with a session of its own. Who may speak to it is decided before
 * anything is parsed: a page in a browser, which may reach loopback too, has neither the token nor the Host
 * that is asked for.
 */
import { bearerOf, sameSecret } from "../lib/bearer.ts";
import type { Clock } from "../lib/clock.ts";
import type { Sdk } from "./load.ts";
import type { Server, WebStandardStreamableHTTPServerTransport } from "./sdk.ts";

const MAX_SESSIONS = 64;
/** Of a client that went without a word; one that holds a stream open is there. */
const IDLE_MS = 3_600_000;
const MAX_BODY_BYTES = 8 * 1024 * 1024;

export interface HttpOptions {
  readonly path: string;
  /** `host:port` as clients may name it; null: a socket that the file system guards. */
  readonly hosts: ReadonlySet<string> | null;
  /** Null: whoever reaches it may. */
  readonly token: string | null;
  readonly sdk: Sdk;
  readonly makeServer: () => Server;
  readonly clock: Clock;
}

interface Session {
  readonly server: Server;
  readonly transport: WebStandardStreamableHTTPServerTransport;
  used: number;
  /** Answers that are being streamed. */
  open: number;
}

export class HttpFront {
  readonly #options: HttpOptions;
  readonly #sessions = new Map<string, Session>();

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  readonly handle = async (request: Request): Promise<Response> => {
    const refused = this.#refusal(request);
    if (refused !== null) return refused;
    const id = request.headers.get("mcp-session-id");
    if (id !== null) {
      const session = this.#sessions.get(id);
      // 404: the client is to begin a new session.
      return session === undefined
        ? failure(404, -32001, "Session not found")
        : await this.#pass(session, request);
    }
    if (request.method !== "POST") return failure(400, -32000, "Mcp-Session-Id is missing");
    return await this.#begin(request);
  };

  #refusal(request: Request): Response | null {
    const { path, hosts, token } = this.#options;
    const host = request.headers.get("host") ?? "";
    if (hosts !== null && !hosts.has(host.toLowerCase())) {
      return failure(403, -32000, "Refused: not a Host of this server");
    }
    const origin = request.headers.get("origin");
    if (origin !== null && !(hosts !== null && isOwn(origin, hosts))) {
      return failure(403, -32000, "Refused: a page of another origin");
    }
    if (token !== null && !sameSecret(bearerOf(request), token)) {
      const response = failure(401, -32000, "A bearer token is needed");
      response.headers.set("www-authenticate", 'Bearer realm="bureau"');
      return response;
    }
    return new URL(request.url).pathname === path ? null : failure(404, -32000, "No such path");
  }

  async #begin(request: Request): Promise<Response> {
    await this.#makeRoom();
    if (this.#sessions.size >= MAX_SESSIONS) return failure(503, -32000, "Too many sessions");
    const server = this.#options.makeServer();
    const transport = new this.#options.sdk.WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      maxRequestBodySize: MAX_BODY_BYTES,
      onsessioninitialized: (id: string) => {
        this.#sessions.set(id, session);
      },
      onsessionclosed: (id: string) => {
        this.#sessions.delete(id);
      },
    });
    const session: Session = { server, transport, used: this.#options.clock.now(), open: 0 };
    await server.connect(transport as never);
    const response = await this.#pass(session, request);
    // It was no initialization: nobody will come back to this one.
    if (![...this.#sessions.values()].includes(session)) await server.close();
    return response;
  }

  async #pass(session: Session, request: Request): Promise<Response> {
    session.used = this.#options.clock.now();
    const response = await session.transport.handleRequest(request);
    if (response.body === null) return response;
    session.open++;
    const end = () => {
      session.open--;
      session.used = this.#options.clock.now();
    };
    return new Response(counted(response.body, end), response);
  }

  async #makeRoom(): Promise<void> {
    const oldest = this.#options.clock.now() - IDLE_MS;
    for (const [id, session] of [...this.#sessions]) {
      if (session.open > 0 || session.used > oldest) continue;
      this.#sessions.delete(id);
      await session.server.close();
    }
  }

  async close(): Promise<void> {
    const all = [...this.#sessions.values()];
    this.#sessions.clear();
    await Promise.all(all.map(({ server }) => server.close()));
  }
}

/** Calls `ended` once, whichever side ends it. */
function counted(body: ReadableStream<Uint8Array>, ended: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let over = false;
  const end = () => {
    if (!over) ended();
    over = true;
  };
  return new ReadableStream({
    async pull(controller) {
      try {
        const { value, done } = await reader.read();
        if (!done) return controller.enqueue(value);
        end();
        controller.close();
      } catch (thrown) {
        end();
        controller.error(thrown);
      }
    },
    async cancel(reason) {
      end();
      await reader.cancel(reason);
    },
  });
}

/** @param hosts `127.0.0.1:8650`, … */
function isOwn(origin: string, hosts: ReadonlySet<string>): boolean {
  return /^http:\/\//.test(origin) && hosts.has(origin.slice("http://".length).toLowerCase());
}

function failure(status: number, code: number, message: string): Response {
  return Response.json({ jsonrpc: "2.0", error: { code, message }, id: null }, { status });
}
