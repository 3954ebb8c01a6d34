// SPDX-License-Identifier: Apache-2.0

/** One way to the proxy: its Unix socket, or the address that the bridge listens on. */
import { messageOf } from "../errors.ts";
import { errorFrom, ProxyClientError } from "./errors.ts";

/** `.invalid` never resolves (RFC 2606): over a Unix socket the name is nobody's. */
const UNIX_HOST = "192.0.2.1";

export type Address =
  /** `/run/bureau/proxy.sock` */
  | { readonly socket: string }
  /** `http://127.0.0.1:8642` */
  | { readonly baseUrl: string };

export interface AskOptions {
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly init?: RequestInit;
  readonly signal?: AbortSignal | undefined;
}

export class Transport implements Disposable {
  readonly #base: string;
  readonly #shown: string;
  readonly #client: Deno.HttpClient | undefined;

  constructor(address: Address) {
    if ("socket" in address) {
      this.#client = Deno.createHttpClient({ proxy: { transport: "unix", path: address.socket } });
      this.#base = `http://${UNIX_HOST}`;
      this.#shown = address.socket;
    } else {
      this.#base = address.baseUrl.replace(/\/+$/, "");
      this.#shown = this.#base;
    }
  }

  /** Whatever the status. @throws {ProxyClientError} `unreachable`; what aborted `signal` */
  async fetch(what: string, path: string, init: RequestInit = {}): Promise<Response> {
    try {
      return await fetch(`${this.#base}${path}`, {
        redirect: "manual",
        ...init,
        ...(this.#client === undefined ? {} : { client: this.#client }),
      });
    } catch (thrown) {
      if (init.signal?.aborted) throw init.signal.reason;
      throw new ProxyClientError(
        "unreachable",
        `Cannot ${what}: the proxy at "${this.#shown}" does not answer (${messageOf(thrown)})`,
        { status: 502, cause: thrown, hint: "a proxy that is replaced is back within seconds" },
      );
    }
  }

  /** @throws {ProxyClientError} for every status but 2xx */
  async ask(
    method: string,
    path: string,
    what: string,
    { query = {}, body, init = {}, signal }: AskOptions = {},
  ): Promise<Response> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) parameters.set(name, String(value));
    }
    const url = parameters.size === 0 ? path : `${path}?${parameters}`;
    const response = await this.fetch(what, url, {
      ...init,
      method,
      ...(signal === undefined ? {} : { signal }),
      ...(body === undefined ? {} : {
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    });
    if (response.ok) return response;
    throw await errorFrom(response, what);
  }

  /** An answer in JSON, believed to have the shape that the proxy documents. */
  async json<T>(
    method: string,
    path: string,
    what: string,
    options: AskOptions = {},
  ): Promise<T> {
    const response = await this.ask(method, path, what, options);
    try {
      return await response.json() as T;
    } catch (thrown) {
      options.signal?.throwIfAborted();
      throw new ProxyClientError("bad-answer", `Cannot ${what}: ${messageOf(thrown)}`, {
        status: 502,
        cause: thrown,
      });
    }
  }

  [Symbol.dispose](): void {
    this.#client?.close();
  }
}
