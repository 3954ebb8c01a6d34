// SPDX-License-Identifier: Apache-2.0

/**
 * The only way out of a proxy: `CONNECT host:port` on the daemon's egress socket. The gate decides,
 * resolves and connects; the proxy has no network of its own.
 */
import { authorityOf } from "../lib/authority.ts";
import { messageOf } from "../lib/errors.ts";
import { ProxyError } from "./errors.ts";
import { headEnd, latin1, parseHead } from "./http1/head.ts";
import { startTls } from "./tls_wire.ts";
import { Ahead } from "./tunnel/ahead.ts";
import { PlainWire, type Wire } from "./wire.ts";

/** Gate and TLS handshake together may take this long: 20 s, and what the gate says that a person may take. */
const CONNECT_DEADLINE_MS = 20_000;
/** Longest hold that is believed. */
const MAX_HOLD_MS = 600_000;
/** Largest answer of the gate to a CONNECT. */
const MAX_ANSWER_BYTES = 16 * 1024;

export interface Destination {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly isAddress: boolean;
  readonly ca: string | undefined;
  /** Whatever the server says first is the caller's: SSH and databases greet. HTTP and TLS never do. */
  readonly speaksFirst?: boolean;
}

/**
 * @param signal ends the attempt; also the deadline's
 * @throws {ProxyError} `egress-unavailable` (the daemon is away), the gate's own refusal, or `tls-failed`
 */
export async function openWire(
  egressSocket: string,
  to: Destination,
  signal: AbortSignal,
): Promise<Wire> {
  const patience = new Patience(signal);
  try {
    const tunnel = await openTunnel(egressSocket, to, patience);
    return to.tls ? await startTls(tunnel, to, patience.signal) : tunnel;
  } finally {
    patience.end();
  }
}

/** The deadline of one attempt, which the gate may move while a person is asked. */
class Patience {
  readonly signal: AbortSignal;
  readonly #late = new AbortController();
  #timer: ReturnType<typeof setTimeout>;

  constructor(signal: AbortSignal) {
    this.signal = AbortSignal.any([signal, this.#late.signal]);
    this.#timer = setTimeout(() => this.#late.abort(), CONNECT_DEADLINE_MS);
  }

  extend(ms: number): void {
    clearTimeout(this.#timer);
    const limit = Math.min(ms, MAX_HOLD_MS) + CONNECT_DEADLINE_MS;
    this.#timer = setTimeout(() => this.#late.abort(), limit);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

async function openTunnel(
  egressSocket: string,
  to: Destination,
  patience: Patience,
): Promise<Wire> {
  const { signal } = patience;
  let connection: Deno.Conn;
  try {
    connection = await Deno.connect({ transport: "unix", path: egressSocket });
  } catch (thrown) {
    throw gateAway(thrown);
  }
  const wire = new PlainWire(connection);
  const onAbort = () => wire.close();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    if (signal.aborted) wire.close();
    await wire.write(connectLine(to));
    const answer = new GateAnswer(to, (ms) => patience.extend(ms));
    while (true) {
      const bytes = await wire.read();
      if (bytes === null) throw answer.cutShort();
      if (answer.push(bytes)) return answer.rest.length === 0 ? wire : new Ahead(answer.rest, wire);
    }
  } catch (thrown) {
    wire.close();
    if (thrown instanceof ProxyError) throw thrown;
    throw signal.aborted ? tooLate(to) : gateAway(thrown);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function connectLine(to: Destination): Uint8Array {
  const target = authorityOf(to);
  return new TextEncoder().encode(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
}

function gateAway(cause: unknown): ProxyError {
  return new ProxyError(
    "egress-unavailable",
    `Cannot reach the egress gate: ${messageOf(cause)}`,
    { status: 503, hint: "the daemon is starting or away; the request can be repeated", cause },
  );
}

function tooLate(to: Destination): ProxyError {
  return new ProxyError(
    "upstream-timeout",
    `Cannot connect to "${authorityOf(to)}": no answer in time`,
    { status: 504 },
  );
}

/** Collects what the gate says until it is an answer. */
class GateAnswer {
  readonly #to: Destination;
  readonly #onHold: (ms: number) => void;
  #bytes = new Uint8Array(0);
  /** What came with the tunnel. */
  rest: Uint8Array = new Uint8Array(0);

  /** @param onHold a person is asked, who may take so long */
  constructor(to: Destination, onHold: (ms: number) => void) {
    this.#to = to;
    this.#onHold = onHold;
  }

  /** @returns true when the tunnel stands. @throws {ProxyError} when the gate refused or broke protocol */
  push(more: Uint8Array): boolean {
    const joined = new Uint8Array(this.#bytes.length + more.length);
    joined.set(this.#bytes);
    joined.set(more, this.#bytes.length);
    this.#bytes = joined;
    const end = headEnd(this.#bytes, 0);
    if (end === -1) {
      if (this.#bytes.length > MAX_ANSWER_BYTES) throw this.#nonsense();
      return false;
    }
    const head = parseHead(latin1(this.#bytes.subarray(0, end - 4)));
    if (head.status === 102) {
      const seconds = Number(head.headers.find(([name]) => name === "bureau-hold")?.[1] ?? NaN);
      if (!(seconds >= 0)) throw this.#nonsense();
      this.#onHold(seconds * 1000);
      return this.push(this.#take(end));
    }
    if (head.status === 200) {
      // Nobody speaks before the client in HTTP or TLS: early bytes belong to no exchange.
      if (this.#bytes.length !== end && this.#to.speaksFirst !== true) throw this.#nonsense();
      this.rest = this.#bytes.slice(end);
      return true;
    }
    const length = Number(head.headers.find(([name]) => name === "content-length")?.[1] ?? 0);
    if (!(length <= MAX_ANSWER_BYTES)) throw this.#nonsense();
    if (this.#bytes.length - end < length) return false;
    throw this.#refusal(head.status, this.#bytes.subarray(end, end + length));
  }

  /** Forgets what was read up to `end`. @returns the rest, which is to be pushed anew */
  #take(end: number): Uint8Array {
    const rest = this.#bytes.slice(end);
    this.#bytes = new Uint8Array(0);
    return rest;
  }

  cutShort(): ProxyError {
    return new ProxyError(
      "egress-unavailable",
      `Cannot connect to "${authorityOf(this.#to)}": the egress gate closed the connection`,
      { status: 503, hint: "the daemon may be restarting; the request can be repeated" },
    );
  }

  #nonsense(): ProxyError {
    return new ProxyError(
      "egress-protocol",
      `Cannot connect to "${authorityOf(this.#to)}": the egress gate gave no HTTP answer`,
      { status: 502 },
    );
  }

  /** A refusal by policy is the caller's 403; everything else is a gateway's 502. */
  #refusal(status: number, body: Uint8Array): ProxyError {
    let error: Record<string, unknown> = {};
    try {
      error = JSON.parse(new TextDecoder().decode(body))?.error ?? {};
    } catch {
      // Without a readable body the status alone has to do.
    }
    const text = (name: string) => {
      const value = error[name];
      return typeof value === "string" && value !== "" ? value : undefined;
    };
    const hint = text("hint");
    return new ProxyError(
      text("code") ?? (status === 403 ? "egress-refused" : "upstream-unreachable"),
      text("message") ??
        `Cannot connect to "${authorityOf(this.#to)}": the egress gate answered ${status}`,
      { status: status === 403 ? 403 : 502, ...(hint === undefined ? {} : { hint }) },
    );
  }
}
