// SPDX-License-Identifier: Apache-2.0

/**
 * TLS over the egress socket. `Deno.startTls` takes no Unix connection and `fetch` over a Unix proxy does
 * no TLS at all, so this is `node:tls`; the module is imported on first use, since it costs 5 MB.
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { ProxyError } from "./errors.ts";
import type { Wire } from "./wire.ts";

/** Received bytes that may wait for a slow reader before the upstream is told to stop. */
const HIGH_WATER = 512 * 1024;

export class TlsWire implements Wire {
  readonly #socket: TLSSocket;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #ended = false;
  #error: Error | null = null;
  #wake: (() => void) | null = null;
  #drained: (() => void) | null = null;
  #onDead: (() => void) | null = null;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (bytes: Uint8Array) => {
      this.#queue.push(bytes);
      this.#queued += bytes.length;
      if (this.#queued > HIGH_WATER) socket.pause();
      this.#notify();
    });
    socket.on("end", () => this.#end(null));
    socket.on("close", () => this.#end(null));
    socket.on("error", (error: Error) => this.#end(error));
    socket.on("drain", () => this.#release());
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = null;
    this.#onDead?.();
    this.#onDead = null;
  }

  #release(): void {
    this.#drained?.();
    this.#drained = null;
  }

  #end(error: Error | null): void {
    this.#ended = true;
    this.#error ??= error;
    this.#release();
    this.#notify();
  }

  async read(): Promise<Uint8Array | null> {
    while (this.#queue.length === 0) {
      if (this.#error !== null) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const bytes = this.#queue.shift()!;
    const before = this.#queued;
    this.#queued -= bytes.length;
    if (before > HIGH_WATER && this.#queued <= HIGH_WATER) this.#socket.resume();
    return bytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#error !== null) throw this.#error;
    if (this.#ended) throw new Error("the connection is closed");
    if (this.#socket.write(bytes)) return;
    await new Promise<void>((resolve) => this.#drained = resolve);
    if (this.#error !== null) throw this.#error;
    if (this.#ended) throw new Error("the connection closed while writing");
  }

  watch(onDead: () => void): () => void {
    if (this.#ended || this.#queue.length > 0) queueMicrotask(onDead);
    else this.#onDead = onDead;
    return () => this.#onDead = null;
  }

  close(): void {
    this.#socket.destroy();
    this.#end(null);
  }
}

export interface TlsTarget {
  /** Name or address that the certificate must carry. */
  readonly host: string;
  /** PEM; undefined: the roots that ship with Deno. */
  readonly ca: string | undefined;
  readonly isAddress: boolean;
}

/**
 * Runs the handshake over an open tunnel and verifies chain and name.
 *
 * @throws {ProxyError} `tls-failed`, 502, with the reason of the TLS library
 */
export async function startTls(
  tunnel: Socket,
  target: TlsTarget,
  signal: AbortSignal,
): Promise<Wire> {
  const tls = await import("node:tls");
  return await new Promise<Wire>((resolve, reject) => {
    const socket = tls.connect({
      socket: tunnel,
      host: target.host,
      // An address is no SNI name (RFC 6066 §3); the certificate is still checked against `host`.
      ...(target.isAddress ? {} : { servername: target.host }),
      ...(target.ca === undefined ? {} : { ca: target.ca }),
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: true,
    });
    const onAbort = () => fail(new Error("it took too long"));
    const fail = (error: Error) => {
      signal.removeEventListener("abort", onAbort);
      socket.destroy();
      tunnel.destroy();
      reject(
        new ProxyError(
          "tls-failed",
          `Cannot open TLS to "${target.host}": ${error.message || "the connection ended"}`,
          {
            status: 502,
            hint:
              "the upstream must present a certificate for this name from the CA that was sealed with the credential",
          },
        ),
      );
    };
    const onClose = () => fail(new Error("the upstream closed the connection"));
    socket.once("error", fail);
    socket.once("close", onClose);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("secureConnect", () => {
      signal.removeEventListener("abort", onAbort);
      socket.removeListener("error", fail);
      socket.removeListener("close", onClose);
      if (!socket.authorized) return fail(new Error("its certificate was not verified"));
      resolve(new TlsWire(socket));
    });
  });
}
