// SPDX-License-Identifier: Apache-2.0

/**
 * The hub between agents that do not know each other's sockets: what is delivered is on disk before it is confirmed, and
 * stays there until its reader has dealt with it.
 */
import * as z from "zod/mini";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { pathComponent } from "../provision/ids.ts";
import { sameSecret } from "../../lib/bearer.ts";
import { FrameWriter, FromAgent, type FromBroker, linesOf } from "./frames.ts";
import { type Mail, Mailbox } from "./maildir.ts";

export interface BrokerLimits {
  readonly connections: number;
  /** Frames a second of one connection, and how many at once. */
  readonly rate: number;
  readonly burst: number;
  /** Messages that wait in one mailbox. */
  readonly waiting: number;
  /** Messages that a reader has and has not acknowledged. */
  readonly unacknowledged: number;
  /** Bytes that a reader has not taken: it is put out. */
  readonly backlog: number;
}

export const DEFAULT_LIMITS: BrokerLimits = {
  connections: 256,
  rate: 500,
  burst: 1_000,
  waiting: 10_000,
  unacknowledged: 64,
  backlog: 8 * 1024 * 1024,
};
const HELLO_MS = 10_000;

export interface BrokerOptions {
  /** Path of its Unix socket, in a directory that keeps strangers out. */
  readonly socket: string;
  /** Of the mailboxes. */
  readonly root: string;
  /** Null: there is no such agent. */
  readonly tokenOf: (agent: string) => string | null;
  /** Who may write to whom; default: each agent to each that has a token. */
  readonly mayDeliver?: (from: string, to: string) => boolean;
  readonly limits?: Partial<BrokerLimits>;
  readonly clock?: Clock;
}

interface Reader {
  readonly peer: Peer;
  readonly box: Mailbox;
  /** Messages that were handed out, by their files' names: two writers may have chosen the same id. */
  readonly out: Set<string>;
  /** A pump waits for its turn. */
  isDue: boolean;
}

export class Broker implements AsyncDisposable {
  readonly #options: BrokerOptions;
  readonly #limits: BrokerLimits;
  readonly #listener: Deno.UnixListener;
  readonly #peers = new Set<Peer>();
  readonly #readers = new Map<string, Reader>();
  readonly #turns = new Map<string, Promise<void>>();
  readonly #boxes = new Map<string, Promise<Mailbox>>();
  readonly #accepting: Promise<void>;

  private constructor(options: BrokerOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#listener = Deno.listen({ transport: "unix", path: options.socket });
    this.#accepting = this.#accept();
  }

  static async start(options: BrokerOptions): Promise<Broker> {
    await Deno.remove(options.socket).catch(() => {});
    const broker = new Broker(options);
    await Deno.chmod(options.socket, 0o600);
    return broker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const peer of this.#peers) peer.close();
    await this.#accepting;
    await Promise.all([...this.#peers].map(({ ended }) => ended));
    await Promise.all(this.#turns.values());
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        const peer = new Peer(connection, this.#options.clock ?? systemClock, this.#limits);
        if (this.#peers.size >= this.#limits.connections) {
          peer.refuse("too many connections");
          continue;
        }
        this.#peers.add(peer);
        peer.run((frame) => this.#take(peer, frame), (agent, token) => this.#knows(agent, token))
          .finally(() => {
            this.#peers.delete(peer);
            if (this.#readers.get(peer.agent)?.peer === peer) this.#readers.delete(peer.agent);
          });
      }
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.BadResource)) throw thrown;
    }
  }

  #knows(agent: string, token: string): boolean {
    const wanted = this.#options.tokenOf(agent);
    // As long as for a wrong one.
    return sameSecret(token, wanted ?? crypto.randomUUID()) && wanted !== null && wanted !== "";
  }

  async #take(peer: Peer, frame: FromAgent): Promise<void> {
    switch (frame.kind) {
      case "hello":
        return peer.refuse("it said hello already");
      case "deliver":
        return await this.#deliver(peer, frame);
      case "subscribe":
        return await this.#subscribe(peer);
      case "ack":
        return await this.#acknowledge(peer, frame.id);
      case "cancel":
        // Of the moment: who is not there has nothing to cancel.
        if (!this.#may(peer.agent, frame.to)) return;
        return this.#readers.get(frame.to)?.peer.send({
          kind: "cancel",
          correlation_id: frame.correlation_id,
        });
    }
  }

  #may(from: string, to: string): boolean {
    return this.#options.tokenOf(to) !== null && (this.#options.mayDeliver?.(from, to) ?? true);
  }

  async #deliver(peer: Peer, { to, message }: FromAgent & { kind: "deliver" }): Promise<void> {
    const { id } = message;
    if (!this.#may(peer.agent, to)) {
      return peer.send({ kind: "error", reason: `"${to}" is not there for you`, id });
    }
    try {
      // Who it is from the broker knows; what it says of itself it may say.
      const from = { ...message.from, session_id: peer.agent };
      await (await this.#box(to)).deliver({ ...message, from });
    } catch (thrown) {
      return peer.send({ kind: "error", reason: messageOf(thrown), id });
    }
    peer.send({ kind: "delivered", id });
    const reader = this.#readers.get(to);
    if (reader !== undefined) this.#pump(reader);
  }

  async #subscribe(peer: Peer): Promise<void> {
    const box = await this.#box(peer.agent);
    // The newest reads: the one before may be a connection whose end nobody has heard of.
    this.#readers.get(peer.agent)?.peer.refuse("another connection reads this mailbox now");
    const reader: Reader = { peer, box, out: new Set(), isDue: false };
    this.#readers.set(peer.agent, reader);
    await this.#inTurn(peer.agent, async () => {
      for (const mail of await box.recover()) this.#hand(reader, mail);
    });
    this.#pump(reader);
  }

  async #acknowledge(peer: Peer, id: string): Promise<void> {
    const reader = this.#readers.get(peer.agent);
    if (reader?.peer !== peer || !reader.out.has(id)) return;
    await reader.box.ack(id);
    reader.out.delete(id);
    this.#pump(reader);
  }

  #pump(reader: Reader): void {
    if (reader.isDue) return;
    reader.isDue = true;
    const { peer, box, out } = reader;
    this.#inTurn(peer.agent, async () => {
      reader.isDue = false;
      const room = this.#limits.unacknowledged - out.size;
      if (room <= 0 || this.#readers.get(peer.agent) !== reader) return;
      for (const mail of await box.drain(room)) this.#hand(reader, mail);
    }).catch(() => peer.refuse("its mailbox can't be read"));
  }

  /** One at a time for each mailbox: what one reader has taken the next one recovers. */
  #inTurn(agent: string, act: () => Promise<void>): Promise<void> {
    const turn = (this.#turns.get(agent) ?? Promise.resolve()).then(act);
    this.#turns.set(agent, turn.catch(() => {}));
    return turn;
  }

  #hand({ peer, out }: Reader, { name, message }: Mail): void {
    out.add(name);
    peer.send({ kind: "message", id: name, message });
  }

  #box(agent: string): Promise<Mailbox> {
    let box = this.#boxes.get(agent);
    if (box === undefined) {
      box = pathComponent(agent).then((part) =>
        Mailbox.open(`${this.#options.root}/${part}`, { maxWaiting: this.#limits.waiting })
      );
      box.catch(() => this.#boxes.delete(agent));
      this.#boxes.set(agent, box);
    }
    return box;
  }
}

/** One connection. */
class Peer {
  /** Empty until it has said who it is. */
  agent = "";
  ended: Promise<void> = Promise.resolve();
  readonly #connection: Deno.UnixConn;
  readonly #writer: FrameWriter;
  readonly #clock: Clock;
  readonly #limits: BrokerLimits;
  #left: number;
  #at: number;
  #closed = false;

  constructor(connection: Deno.UnixConn, clock: Clock, limits: BrokerLimits) {
    this.#connection = connection;
    this.#writer = new FrameWriter(connection.writable);
    this.#clock = clock;
    this.#limits = limits;
    this.#left = limits.burst;
    this.#at = clock.now();
  }

  send(frame: FromBroker): void {
    if (this.#closed) return;
    this.#writer.send(frame);
    if (this.#writer.waiting > this.#limits.backlog) this.close();
  }

  /** Says why, and ends it. */
  refuse(reason: string): void {
    this.send({ kind: "error", reason });
    const late = new AbortController();
    const sent = this.#writer.flushed();
    void Promise.race([sent, this.#clock.sleep(1_000, late.signal).catch(() => {})])
      .then(() => {
        late.abort();
        this.close();
      });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#connection.close();
    } catch {
      // It is closed.
    }
  }

  run(
    take: (frame: FromAgent) => Promise<void>,
    knows: (agent: string, token: string) => boolean,
  ): Promise<void> {
    return this.ended = this.#read(take, knows).catch(() => {}).finally(() => this.close());
  }

  async #read(
    take: (frame: FromAgent) => Promise<void>,
    knows: (agent: string, token: string) => boolean,
  ): Promise<void> {
    const greeted = new AbortController();
    this.#clock.sleep(HELLO_MS, greeted.signal).then(() => this.close(), () => {});
    try {
      for await (const line of linesOf(this.#connection.readable)) {
        if (this.#closed) return;
        const frame = parse(line);
        if (frame === null) return this.refuse("it is no frame");
        if (this.agent !== "") {
          if (!this.#mayGoOn()) return this.refuse("too many frames");
          await take(frame);
          continue;
        }
        if (frame.kind !== "hello" || !knows(frame.agent, frame.token)) {
          // One word for whatever is wrong.
          return this.refuse("not known");
        }
        greeted.abort();
        this.agent = frame.agent;
        this.send({ kind: "welcome" });
      }
    } finally {
      greeted.abort();
    }
  }

  #mayGoOn(): boolean {
    const now = this.#clock.now();
    const { rate, burst } = this.#limits;
    this.#left = Math.min(burst, this.#left + (now - this.#at) * rate / 1_000);
    this.#at = now;
    return this.#left-- >= 1;
  }
}

function parse(line: string): FromAgent | null {
  try {
    const parsed = z.safeParse(FromAgent, JSON.parse(line));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
