// SPDX-License-Identifier: Apache-2.0

/** What an agent asks of its proxy, typed. */
import type { ProxyPolicy, RequestRule } from "../schema/events.ts";
import { createProxyMatrix, type ProxyMatrix } from "./matrix.ts";
import { type ApprovalOptions, askLeave, type Leave, type ToolCall } from "./approval.ts";
import { type Address, Transport } from "./transport.ts";

export interface Identity {
  /** Full localpart. */
  readonly principal: string;
  readonly user_id: string | null;
  readonly server_name: string;
  readonly fleet: string;
  readonly machine: string;
  /** Room id the principal works in, if any. */
  readonly room: string | null;
  readonly services: readonly string[];
}

export interface Service {
  readonly name: string;
  readonly kind: "http";
  readonly path: string;
  /** null: something on this machine. */
  readonly host: string | null;
  readonly allow?: readonly RequestRule[];
  readonly deny?: readonly RequestRule[];
}

/** What an agent may say of itself. */
export interface Said {
  /** `waiting`: a person has to do something. */
  readonly state: "working" | "waiting" | "idle";
  /** One line for people. */
  readonly message: string | null;
  /** ms epoch */
  readonly at: number;
}

/** All methods throw `ProxyClientError`. */
export interface ProxyClient extends Disposable {
  readonly matrix: ProxyMatrix;
  health(): Promise<{ status: string }>;
  identity(): Promise<Identity>;
  grants(signal?: AbortSignal): Promise<ProxyPolicy>;
  services(signal?: AbortSignal): Promise<readonly Service[]>;
  /** What I said of myself last; null: nothing. */
  attention(): Promise<Said | null>;
  /** Says that I work, wait for a person, or have nothing to do; it outranks what my terminal looks like. */
  setAttention(state: Said["state"], message?: string): Promise<Said>;
  /**
   * Asks an operator whether a tool may be called, and waits for the answer: five minutes at most. It never throws:
   * whatever goes wrong is a no.
   */
  approval(call: ToolCall, options?: ApprovalOptions): Promise<Leave>;
  /** The proxy's interface as an OpenAPI document. */
  openapi(): Promise<Record<string, unknown>>;
  /**
   * `fetch` on a service, with its credentials; any status is an answer, also the proxy's own refusal
   * (403, 429, 502) in `{error:{code,message,hint?}}`.
   *
   * @param path with its first slash and its query, encoded
   */
  http(service: string, path: string, init?: RequestInit): Promise<Response>;
}

/** @param address default: the socket that every sandbox has */
export function createProxyClient(
  address: Address = { socket: "/run/bureau/proxy.sock" },
): ProxyClient {
  const transport = new Transport(address);
  return {
    matrix: createProxyMatrix(transport),
    health: () => transport.json("GET", "/health", "ask for its health"),
    identity: () => transport.json("GET", "/v1/identity", "ask who I am"),
    grants: (signal) => transport.json("GET", "/v1/grants", "read my grants", { signal }),
    services: async (signal) => {
      const answer = await transport.json<{ services: Service[] }>(
        "GET",
        "/v1/services",
        "list the services",
        { signal },
      );
      return answer.services;
    },
    attention: async () => {
      const what = "read what I said of myself";
      return (await transport.json<{ said: Said | null }>("GET", "/v1/attention", what)).said;
    },
    setAttention: async (state, message) => {
      const options = { body: { state, ...(message === undefined ? {} : { message }) } };
      const what = "say how I am";
      return (await transport.json<{ said: Said }>("PUT", "/v1/attention", what, options)).said;
    },
    approval: (call, options) => askLeave(transport, call, options),
    openapi: () => transport.json("GET", "/v1/openapi.json", "read the interface"),
    http: (service, path, init) =>
      transport.fetch(
        `ask the service "${service}"`,
        `/http/${encodeURIComponent(service)}${path}`,
        init,
      ),
    [Symbol.dispose]: () => transport[Symbol.dispose](),
  };
}
