// SPDX-License-Identifier: Apache-2.0

/**
 * The first carrier: TLS over TCP, for machines that can reach each other. Each says in the fleet where, and by which
 * certificate; a peer takes that one and no other, so that whoever has the address has nothing.
 */
import {
  bare,
  type ByteStream,
  connectTls,
  type HostPort,
  parseAddress,
  streamOf,
} from "../../lib/carrier/mod.ts";
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { DaemonError } from "../errors.ts";
import { type Identity, loadIdentity, PEER_NAME, renewalOf } from "./identity.ts";
import type { PeerTransport } from "./transport.ts";

/** Streams of peers that are open at once. */
const MAX_STREAMS = 256;
/** Of one address: nobody takes all of them. */
const MAX_FROM_ONE = 64;
const HANDSHAKE_MS = 10_000;
const RETRY_MS = 5_000;
const DAY_MS = 86_400_000;

/** What a machine says of itself. */
export interface PeerPlace {
  /** `host:port`, in the order in which they are tried. */
  readonly addresses: readonly string[];
  /** PEM of the authority that signed its certificate. */
  readonly certificate: string;
}

export interface TlsTransportOptions {
  /** Null: nobody can open a stream to this machine; it opens them to others. */
  readonly listen: HostPort | null;
  readonly stateDir: string;
  /** What a machine said of itself; null: nothing. */
  readonly placeOf: (machine: string) => PeerPlace | null;
  /** This machine listens, and is known by this. */
  readonly onPlace: (certificate: string, port: number) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export class TlsTransport implements PeerTransport {
  readonly #options: TlsTransportOptions;
  /** Open streams by the address that they come from. */
  readonly #from = new Map<string, number>();
  #streams = 0;

  constructor(options: TlsTransportOptions) {
    this.#options = options;
  }

  async open(machine: string, signal: AbortSignal): Promise<ByteStream> {
    const place = this.#options.placeOf(machine);
    if (place === null) {
      throw new DaemonError("peer-unknown", `Cannot reach "${machine}": it takes no peers`, {
        status: 503,
        hint: "`peer` in that machine's bureau.yaml says where it listens",
      });
    }
    const problems: string[] = [];
    for (const address of place.addresses) {
      signal.throwIfAborted();
      try {
        return streamOf(
          await connectTls(parseAddress(address), {
            authority: place.certificate,
            name: PEER_NAME,
          }),
        );
      } catch (thrown) {
        problems.push(`${address}: ${messageOf(thrown)}`);
      }
    }
    throw new DaemonError("peer-away", `Cannot reach "${machine}": ${problems.join("; ")}`, {
      status: 503,
      hint: "does its daemon run, and can this machine reach that address?",
    });
  }

  async accept(onStream: (stream: ByteStream) => void, signal: AbortSignal): Promise<void> {
    const { listen, stateDir, clock, log } = this.#options;
    if (listen === null) return;
    let told = "";
    while (!signal.aborted) {
      try {
        const identity = await loadIdentity(stateDir, clock, log);
        await this.#listen(listen, identity, onStream, signal);
      } catch (thrown) {
        const why = messageOf(thrown);
        if (why !== told) log.warn("peers can't reach this machine", { why });
        told = why;
        await clock.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
  }

  /** Until it is time for another certificate. @throws when it can't listen */
  async #listen(
    { hostname, port }: HostPort,
    identity: Identity,
    onStream: (stream: ByteStream) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, log, onPlace } = this.#options;
    const { certificate: cert, key } = identity;
    using listener = Deno.listenTls({ hostname: bare(hostname), port, cert, key });
    onPlace(identity.authority, listener.addr.port);
    log.info("peers can reach this machine", { address: `${hostname}:${listener.addr.port}` });
    const over = new AbortController();
    const ends = AbortSignal.any([signal, over.signal]);
    const close = () => listener.close();
    ends.addEventListener("abort", close, { once: true });
    void (async () => {
      while (!ends.aborted && clock.now() < renewalOf(identity)) {
        await clock.sleep(DAY_MS, ends).catch(() => {});
      }
      over.abort();
    })();
    while (!ends.aborted) {
      try {
        this.#take(await listener.accept(), onStream);
      } catch (thrown) {
        if (ends.aborted) return;
        // Somebody who left before they were taken; or there is nothing left to take them with.
        log.debug("a peer was not taken", { why: messageOf(thrown) });
        await clock.sleep(100, ends).catch(() => {});
      }
    }
  }

  #take(conn: Deno.TlsConn, onStream: (stream: ByteStream) => void): void {
    const { hostname } = conn.remoteAddr as Deno.NetAddr;
    const already = this.#from.get(hostname) ?? 0;
    if (this.#streams >= MAX_STREAMS || already >= MAX_FROM_ONE) return conn.close();
    this.#streams++;
    this.#from.set(hostname, already + 1);
    let isOpen = true;
    const stream = streamOf(conn);
    const close = () => {
      stream.close();
      if (!isOpen) return;
      isOpen = false;
      this.#streams--;
      const left = this.#from.get(hostname)! - 1;
      if (left > 0) this.#from.set(hostname, left);
      else this.#from.delete(hostname);
    };
    const late = setTimeout(close, HANDSHAKE_MS);
    conn.handshake().then(() => {
      clearTimeout(late);
      if (isOpen) onStream({ readable: stream.readable, writable: stream.writable, close });
    }, () => {
      clearTimeout(late);
      close();
    });
  }
}
