// SPDX-License-Identifier: Apache-2.0

/**
 * The way to other machines' daemons, and theirs to this one. A request of a peer is served as any other of this
 * machine's, with what its subject may do here; what it may be at all stands in the operator's warrant.
 */
import { join, type OnceClient, onceClient, streamOf } from "../../lib/carrier/mod.ts";
import type { Clock } from "../../lib/clock.ts";
import { BureauError, messageOf } from "../../lib/errors.ts";
import { listenUnix, UNIX_HOST } from "../../lib/http/mod.ts";
import type { Logger } from "../../lib/log.ts";
import { parseUserId } from "../../lib/ref/mod.ts";
import type { TokenKey, TrustedKey } from "../../lib/token/mod.ts";
import type { DaemonBootstrap } from "../api.ts";
import { DaemonError } from "../errors.ts";
import { welcome } from "../web/guest.ts";
import { untilOver } from "../web/until.ts";
import { AssertionReader, signAssertion } from "./assertion.ts";
import { type PeerPlace, TlsTransport } from "./tls.ts";
import type { PeerTransport } from "./transport.ts";

/** What a peer may ask for. */
const ROUTES = /^\/v1\/principals(\/[^/?#]+(\/(usage|observe))?)?$/;
const OBSERVE = /\/observe$/;
const SCHEME = "Bureau-Peer";
/** A machine whose key is news here is asked again. */
const RETRIES = 20;
const RETRY_MS = 500;
const ANSWER_MS = 20_000;
const MAX_ANSWER = 4 * 1024 * 1024;
const randomName = () => crypto.getRandomValues(new Uint8Array(8)).toHex();
/** How soon what is open ends after its machine was put out. */
const RECHECK_MS = 2_000;

/** What the fleet's rooms say, and what this machine says there. */
export interface PeerDirectory {
  /** Of this machine; published when it resolves. */
  peerKey(): Promise<TokenKey>;
  publishedKeys(): readonly TrustedKey[];
  placeOf(machine: string): PeerPlace | null;
  /** From now on the fleet knows. */
  announcePeer(place: PeerPlace): void;
}

export interface PeersOptions {
  readonly bootstrap: DaemonBootstrap;
  readonly directory: PeerDirectory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Instead of TLS over TCP. */
  readonly transport?: PeerTransport;
}

export class Peers {
  readonly #options: PeersOptions;
  readonly #transport: PeerTransport;
  readonly #reader: AssertionReader;

  constructor(options: PeersOptions) {
    this.#options = options;
    const { bootstrap, directory, clock, log } = options;
    this.#transport = options.transport ?? new TlsTransport({
      listen: bootstrap.peer?.listen ?? null,
      stateDir: bootstrap.state_dir,
      placeOf: (machine) => directory.placeOf(machine),
      onPlace: (certificate, port) => {
        const { listen, addresses } = bootstrap.peer!;
        const own = [`${listen.hostname}:${port}`];
        directory.announcePeer({ addresses: addresses.length > 0 ? addresses : own, certificate });
      },
      ...{ clock, log },
    });
    this.#reader = new AssertionReader({
      machine: bootstrap.user_id,
      operatorKeys: bootstrap.operator_keys ?? [],
      keys: () => directory.publishedKeys(),
      now: () => clock.now(),
    });
  }

  /** @param handler the daemon's own */
  open(handler: (request: Request) => Promise<Response>): void {
    const { bootstrap: { peer }, log } = this.#options;
    if (peer === undefined) return;
    this.#serve(handler).catch((thrown) =>
      log.error("peers can't reach this machine", { why: messageOf(thrown) })
    );
  }

  async #serve(handler: (request: Request) => Promise<Response>): Promise<void> {
    const { bootstrap: { run_dir: runDir }, signal } = this.#options;
    const path = `${runDir}/daemon/peer.sock`;
    const server = await listenUnix(path, (request) => this.#answer(request, handler), {
      mode: 0o600,
    });
    // What is open ends with the process; see src/cmd/daemon.ts.
    server.unref();
    await this.#transport.accept((stream) => {
      Deno.connect({ transport: "unix", path }).then(
        (conn) => join(stream, streamOf(conn)),
        () => stream.close(),
      );
    }, signal);
  }

  /** A peer's request. */
  async #answer(
    request: Request,
    handler: (request: Request) => Promise<Response>,
  ): Promise<Response> {
    try {
      const { pathname, searchParams } = new URL(request.url);
      const [scheme, assertion = ""] = (request.headers.get("authorization") ?? "").split(" ");
      if (request.method !== "GET" || scheme !== SCHEME || !ROUTES.test(pathname)) {
        throw new DaemonError("peer-refused", "Cannot serve this to a peer", { status: 403 });
      }
      const { warrant, from } = await this.#reader.read(assertion, pathname);
      const wanted = searchParams.get("mode") ?? "readonly";
      if (wanted !== "readonly" && wanted !== warrant.mode) {
        throw new DaemonError("peer-refused", "Cannot serve this: its warrant is for less", {
          status: 403,
        });
      }
      const alive = () => this.#isTrusted(from);
      welcome(request, {
        userId: warrant.subject,
        who: `${warrant.subject} (from ${nameOf(from)})`,
        readOnly: warrant.mode === "readonly",
        alive,
      });
      this.#options.log.info("a peer asks", { machine: from, subject: warrant.subject, pathname });
      return untilOver(await handler(request), alive, RECHECK_MS);
    } catch (thrown) {
      if (!(thrown instanceof BureauError)) throw thrown;
      this.#options.log.warn("a peer was refused", { why: thrown.message });
      return Response.json(thrown.toBody(), { status: thrown.status });
    }
  }

  /** It has published a key, which goes when it is put out of the fleet. */
  #isTrusted(machine: string): boolean {
    const now = this.#options.clock.now();
    return this.#options.directory.publishedKeys().some((key) =>
      key.machine === machine && (key.until === undefined || key.until > now)
    );
  }

  /** What a peer answers to one request. @throws {DaemonError} `peer-…` */
  async ask(warrant: Record<string, unknown>): Promise<Response> {
    const { clock, signal } = this.#options;
    for (let attempt = 1;; attempt++) {
      const { once, headers, url } = await this.#prepare(warrant, "http");
      try {
        const timeout = AbortSignal.timeout(ANSWER_MS);
        const response = await fetch(url, {
          client: once.client,
          headers,
          signal: AbortSignal.any([timeout, signal]),
        });
        const text = await limited(response);
        const isNews = response.status === 503 && text.includes('"peer-unknown-key"');
        if (isNews && attempt < RETRIES) {
          await clock.sleep(RETRY_MS, signal);
          continue;
        }
        return new Response(text, {
          status: response.status,
          headers: { "content-type": "application/json" },
        });
      } catch (thrown) {
        if (thrown instanceof DaemonError) throw thrown;
        throw new DaemonError(
          "peer-away",
          `Cannot ask "${warrant["machine"]}": ${messageOf(thrown)}`,
          { status: 503 },
        );
      } finally {
        once.close();
      }
    }
  }

  /**
   * A WebSocket to a peer's `observe`.
   * @param query of the watcher's own words, what is to reach the peer
   */
  async watch(
    warrant: Record<string, unknown>,
    query: URLSearchParams,
    protocol: string,
  ): Promise<{ socket: WebSocket; close: () => void }> {
    const { once, headers, url } = await this.#prepare(warrant, "ws");
    const socket = new WebSocket(`${url}?${query}`, {
      client: once.client,
      headers,
      protocols: [protocol],
    });
    return { socket, close: () => once.close() };
  }

  async #prepare(warrant: Record<string, unknown>, scheme: "http" | "ws"): Promise<{
    once: OnceClient;
    headers: Record<string, string>;
    url: string;
  }> {
    const { bootstrap, directory, clock, signal } = this.#options;
    const key = await directory.peerKey();
    const stream = await this.#transport.open(String(warrant["machine"]), signal);
    try {
      const machine = bootstrap.user_id;
      const assertion = await signAssertion(key, { machine, warrant, now: clock.now() });
      return {
        once: onceClient(`${bootstrap.run_dir}/daemon/peer-${randomName()}.sock`, stream),
        headers: { authorization: `${SCHEME} ${assertion}` },
        url: `${scheme}://${UNIX_HOST}${warrant["path"]}`,
      };
    } catch (thrown) {
      stream.close();
      throw thrown;
    }
  }
}

/** Whether a request with this path is one that a peer serves. */
export const isPeerPath = (path: string, observes: boolean): boolean =>
  ROUTES.test(path) && OBSERVE.test(path) === observes;

async function limited(response: Response): Promise<string> {
  let text = "";
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    if (text.length > MAX_ANSWER) throw new Error("its answer is too long");
  }
  return text;
}

/** Last segment of a machine's name. */
function nameOf(machine: string): string {
  return parseUserId(machine).localpart.split("/").at(-1)!;
}
