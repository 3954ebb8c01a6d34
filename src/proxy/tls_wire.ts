// SPDX-License-Identifier: Apache-2.0

/**
 * TLS over an open tunnel. `Deno.startTls` takes no Unix connection and `fetch` over a Unix proxy does no
 * TLS at all, so this is `node:tls`, over a stream of our own: over a `node:net` socket it has no
 * back-pressure (a paused TLS socket still takes in all that an upstream sends, seen in Deno 2.9.6), and it
 * is slower. The modules are imported on first use, since they cost 5 MB.
 */
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { ProxyError } from "./errors.ts";
import type { Wire } from "./wire.ts";

/** Decrypted bytes that may wait for a slow reader before the tunnel is read no further. */
const HIGH_WATER = 256 * 1024;

export interface TlsTarget {
  /** Name or address that the certificate must carry. */
  readonly host: string;
  /** PEM; undefined: the roots that ship with Deno. */
  readonly ca: string | undefined;
  readonly isAddress: boolean;
}

/** The encrypted side: reads the tunnel only while the decrypted side has room. */
interface Tunnel {
  readonly stream: Duplex;
  /** Reads on when it was held back. */
  resume(): void;
}

async function tunnelStream(wire: Wire, hasRoom: () => boolean): Promise<Tunnel> {
  const { Duplex } = await import("node:stream");
  let wanted = false;
  let reading = false;
  const pull = async () => {
    if (reading || !wanted || !hasRoom()) return;
    reading = true;
    wanted = false;
    try {
      const bytes = await wire.read();
      reading = false;
      stream.push(bytes);
    } catch (thrown) {
      stream.destroy(thrown as Error);
    }
  };
  const stream = new Duplex({
    read() {
      wanted = true;
      void pull();
    },
    write(bytes: Uint8Array, _encoding, done) {
      wire.write(bytes).then(() => done(), done);
    },
    destroy(error, done) {
      wire.close();
      done(error);
    },
  });
  return { stream, resume: () => void pull() };
}

class TlsWire implements Wire {
  #socket: TLSSocket | null = null;
  #tunnel: Tunnel | null = null;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #ended = false;
  #error: Error | null = null;
  #wake: (() => void) | null = null;
  #drained: (() => void) | null = null;
  #onDead: (() => void) | null = null;

  hasRoom(): boolean {
    return this.#queued < HIGH_WATER;
  }

  attach(socket: TLSSocket, tunnel: Tunnel): void {
    this.#socket = socket;
    this.#tunnel = tunnel;
    socket.on("data", (bytes: Uint8Array) => {
      this.#queue.push(bytes);
      this.#queued += bytes.length;
      this.#notify();
    });
    socket.on("end", () => this.#end(null));
    socket.on("close", () => this.#end(null));
    socket.on("error", (error: Error) => this.#end(error));
    socket.on("drain", () => this.#release());
  }

  #notify(): void {
    const wake = this.#wake;
    const onDead = this.#onDead;
    // Forgotten first: what is called may close this wire, which comes back here.
    this.#wake = null;
    this.#onDead = null;
    wake?.();
    onDead?.();
  }

  #release(): void {
    const drained = this.#drained;
    this.#drained = null;
    drained?.();
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
    const wasFull = !this.hasRoom();
    this.#queued -= bytes.length;
    if (wasFull && this.hasRoom()) this.#tunnel!.resume();
    return bytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#error !== null) throw this.#error;
    if (this.#ended) throw new Error("the connection is closed");
    if (this.#socket!.write(bytes)) return;
    await new Promise<void>((resolve) => this.#drained = resolve);
    if (this.#error !== null) throw this.#error;
    if (this.#ended) throw new Error("the connection closed while writing");
  }

  watch(onDead: () => void): () => void {
    if (this.#ended || this.#queue.length > 0) queueMicrotask(onDead);
    else this.#onDead = onDead;
    return () => this.#onDead = null;
  }

  closeWrite(): Promise<void> {
    const socket = this.#socket!;
    if (socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      // A socket that is destroyed before it could write never says that it did.
      socket.once("close", () => resolve());
      socket.end(() => resolve());
    });
  }

  close(): void {
    this.#socket!.destroy();
    this.#tunnel!.stream.destroy();
    this.#end(null);
  }
}

/**
 * Runs the handshake and verifies chain and name.
 *
 * @param tunnel an open connection to the upstream; closed when this fails
 * @throws {ProxyError} `tls-failed`, 502, with the reason of the TLS library
 */
export async function startTls(
  tunnel: Wire,
  target: TlsTarget,
  signal: AbortSignal,
): Promise<Wire> {
  const tls = await import("node:tls");
  const wire = new TlsWire();
  const { stream, resume } = await tunnelStream(tunnel, () => wire.hasRoom());
  return await new Promise<Wire>((resolve, reject) => {
    const socket = tls.connect({
      socket: stream,
      host: target.host,
      // An address is no SNI name (RFC 6066 §3); the certificate is still checked against `host`.
      ...(target.isAddress ? {} : { servername: target.host }),
      ...(target.ca === undefined ? {} : { ca: target.ca }),
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: true,
    });
    const fail = (error: Error) => {
      signal.removeEventListener("abort", onAbort);
      // A late failure of what was given up must not become an uncaught error.
      for (const end of [socket, stream]) end.on("error", () => {});
      socket.destroy();
      stream.destroy();
      reject(tlsFailed(target.host, error.message || "the connection ended"));
    };
    const onAbort = () => fail(new Error("it took too long"));
    const onClose = () => fail(new Error("the upstream closed the connection"));
    socket.once("error", fail);
    socket.once("close", onClose);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("secureConnect", () => {
      signal.removeEventListener("abort", onAbort);
      socket.removeListener("error", fail);
      socket.removeListener("close", onClose);
      if (!socket.authorized) return fail(new Error("its certificate was not verified"));
      wire.attach(socket, { stream, resume });
      stream.on("error", (error: Error) => socket.destroy(error));
      resolve(wire);
    });
    if (signal.aborted) onAbort();
  });
}

/** What a caller is shown. */
export interface ServerIdentity {
  /** PEM. */
  readonly certificate: string;
  /** PEM; secret. */
  readonly key: string;
}

/**
 * Answers a handshake in the upstream's place. HTTP/1.1 alone is offered.
 *
 * @param caller an open connection to the client; closed when this fails
 * @throws {ProxyError} `tls-refused` when the client breaks off: it doesn't trust the certificate
 */
export async function acceptTls(
  caller: Wire,
  identity: ServerIdentity,
  signal: AbortSignal,
): Promise<Wire> {
  const tls = await import("node:tls");
  const wire = new TlsWire();
  const { stream, resume } = await tunnelStream(caller, () => wire.hasRoom());
  return await new Promise<Wire>((resolve, reject) => {
    const socket = new tls.TLSSocket(stream, {
      isServer: true,
      cert: identity.certificate,
      key: identity.key,
      ALPNProtocols: ["http/1.1"],
    });
    const fail = (why: string) => {
      signal.removeEventListener("abort", onAbort);
      for (const end of [socket, stream]) end.on("error", () => {});
      socket.destroy();
      stream.destroy();
      reject(
        new ProxyError("tls-refused", `Cannot end TLS here: ${why}`, {
          status: 403,
          hint: "the client must trust the authorities in SSL_CERT_FILE and speak HTTP/1.1",
        }),
      );
    };
    const onAbort = () => fail("the handshake took too long");
    const onError = (error: Error) => fail(error.message);
    const onClose = () => fail("the client closed the connection");
    socket.once("error", onError);
    socket.once("close", onClose);
    stream.once("close", onClose);
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("secure", () => {
      signal.removeEventListener("abort", onAbort);
      socket.removeListener("error", onError);
      for (const end of [socket, stream]) end.removeListener("close", onClose);
      wire.attach(socket, { stream, resume });
      stream.on("error", (error: Error) => socket.destroy(error));
      resolve(wire);
    });
    if (signal.aborted) onAbort();
  });
}

function tlsFailed(host: string, why: string): ProxyError {
  return new ProxyError("tls-failed", `Cannot open TLS to "${host}": ${why}`, {
    status: 502,
    hint:
      "the upstream must present a certificate for this name from the CA that was sealed with the credential",
  });
}
