// SPDX-License-Identifier: Apache-2.0

/** An agent's end of the broker. It comes back by itself; what it was told to deliver it delivers, at least once. */
import * as z from "zod/mini";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { MailError } from "./errors.ts";
import { FrameWriter, type FromAgent, FromBroker, linesOf } from "./frames.ts";
import { MailMessage, Seen } from "./message.ts";

const RETRY_FIRST_MS = 200;
const RETRY_MAX_MS = 2_000;
const TRIES = 5;

export interface MailClientOptions {
  /** The broker's. */
  readonly socket: string;
  readonly agent: string;
  /** Secret. */
  readonly token: string;
  /**
   * Takes each message once. It is acknowledged when this resolves; when it rejects it comes again with the next
   * connection.
   */
  readonly onMessage?: (message: MailMessage) => Promise<void>;
  /** Somebody does not want its answer any more. */
  readonly onCancel?: (correlationId: string) => void;
  readonly clock?: Clock;
}

interface Line {
  readonly connection: Deno.UnixConn;
  readonly writer: FrameWriter;
}

export class MailClient implements AsyncDisposable {
  readonly #options: MailClientOptions;
  readonly #clock: Clock;
  readonly #seen = new Seen();
  /** By message id: deliveries without their receipt. */
  readonly #sending = new Map<
    string,
    { readonly frame: FromAgent; readonly done: PromiseWithResolvers<void> }
  >();
  readonly #stop = new AbortController();
  #line: Line | null = null;
  readonly #ready = Promise.withResolvers<void>();
  #working: Promise<void>;

  private constructor(options: MailClientOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#ready.promise.catch(() => {});
    this.#working = this.#work();
  }

  /** @throws {MailError} `broker-gone`, `refused` */
  static async connect(options: MailClientOptions): Promise<MailClient> {
    const client = new MailClient(options);
    await client.#ready.promise;
    return client;
  }

  /**
   * Resolves when the broker has it on disk.
   * @throws {MailError} `refused`, `broker-gone`
   */
  async deliver(to: string, message: MailMessage): Promise<void> {
    if (this.#stop.signal.aborted) throw gone("it was closed");
    const frame: FromAgent = { kind: "deliver", to, message };
    const done = Promise.withResolvers<void>();
    this.#sending.set(message.id, { frame, done });
    this.#line?.writer.send(frame);
    await done.promise;
  }

  /** Of the moment: it is not kept for who is not there. */
  cancel(to: string, correlationId: string): void {
    this.#line?.writer.send({ kind: "cancel", to, correlation_id: correlationId });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    close(this.#line);
    await this.#working;
  }

  async #work(): Promise<void> {
    let failures = 0;
    let why: unknown = "it was closed";
    while (!this.#stop.signal.aborted && failures < TRIES) {
      try {
        await this.#listen(() => failures = 0);
        why = "it ended the connection";
      } catch (thrown) {
        why = thrown;
        if (thrown instanceof MailError && thrown.code === "refused") break;
      }
      failures++;
      const wait = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (failures - 1));
      await this.#clock.sleep(wait, this.#stop.signal).catch(() => {});
    }
    this.#stop.abort();
    const error = why instanceof MailError ? why : gone(messageOf(why));
    this.#ready.reject(error);
    for (const { done } of this.#sending.values()) done.reject(error);
    this.#sending.clear();
  }

  /** One connection, to its end. @throws {MailError} `refused` when it was not let in */
  async #listen(onWelcome: () => void): Promise<void> {
    const { socket: path, agent, token, onMessage } = this.#options;
    const connection = await Deno.connect({ transport: "unix", path });
    const line: Line = { connection, writer: new FrameWriter(connection.writable) };
    this.#line = line;
    if (this.#stop.signal.aborted) close(line);
    let isWelcome = false;
    try {
      line.writer.send({ kind: "hello", agent, token });
      for await (const text of linesOf(connection.readable)) {
        const parsed = z.safeParse(FromBroker, JSON.parse(text));
        if (!parsed.success) continue;
        const frame = parsed.data;
        if (frame.kind === "error" && frame.id === undefined) {
          if (isWelcome) throw new Error(frame.reason);
          throw new MailError("refused", `Cannot connect as "${agent}": ${frame.reason}`, {
            status: 401,
          });
        }
        if (frame.kind === "welcome") {
          isWelcome = true;
          onWelcome();
          if (onMessage !== undefined) line.writer.send({ kind: "subscribe" });
          // What has no receipt goes again: its reader knows the ids.
          for (const { frame } of this.#sending.values()) line.writer.send(frame);
          this.#ready.resolve();
        } else this.#take(frame, line);
      }
    } finally {
      this.#line = null;
      close(line);
    }
  }

  #take(frame: FromBroker, line: Line): void {
    if (frame.kind === "delivered") this.#sent(frame.id)?.resolve();
    else if (frame.kind === "error") {
      this.#sent(frame.id!)?.reject(
        new MailError("refused", `Cannot deliver: ${frame.reason}`, { status: 403 }),
      );
    } else if (frame.kind === "cancel") this.#options.onCancel?.(frame.correlation_id);
    else if (frame.kind === "message") void this.#read(frame.id, frame.message, line);
  }

  async #read(id: string, message: MailMessage, line: Line): Promise<void> {
    const known = `${message.from.session_id} ${message.id}`;
    try {
      if (this.#seen.add(known)) await this.#options.onMessage!(message);
      line.writer.send({ kind: "ack", id });
    } catch {
      this.#seen.remove(known);
    }
  }

  #sent(id: string): PromiseWithResolvers<void> | undefined {
    const sending = this.#sending.get(id);
    this.#sending.delete(id);
    return sending?.done;
  }
}

function gone(why: string): MailError {
  return new MailError("broker-gone", `Cannot reach the broker: ${why}`, { status: 502 });
}

function close(line: Line | null): void {
  try {
    line?.connection.close();
  } catch {
    // It is closed.
  }
}
