// SPDX-License-Identifier: Apache-2.0

/** Asks others in a room to do something, and hears what came of it. */
import { type Clock, systemClock } from "../lib/clock.ts";
import { BureauError } from "../lib/errors.ts";
import type { MatrixClient } from "./client.ts";
import { COMMAND, type Command, type CommandResult, readCommandResult } from "./command.ts";
import { MessagingError } from "./errors.ts";
import { threadOf } from "./relations.ts";
import { retry } from "./retry.ts";
import type { MatrixEvent } from "./types.ts";

/** The other side did not do it; `code` and message are its own. */
export class CommandError extends BureauError {
  override readonly name = "CommandError";
}

export interface CallOptions {
  readonly room: string;
  /** User id of who shall do it; nobody else's answer counts. */
  readonly to: string;
  readonly command: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly timeoutMs: number;
  readonly onProgress?: (progress: CommandResult) => void;
  readonly signal?: AbortSignal;
}

interface Waiting {
  readonly options: CallOptions;
  /** The command's own event, once it is known. */
  event: string | null;
  readonly done: PromiseWithResolvers<unknown>;
}

export interface CommandCallerOptions {
  readonly client: MatrixClient;
  readonly clock?: Clock;
}

/** Give every timeline event to `handle`, from `runSync` or `followEvents`. */
export class CommandCaller {
  readonly #client: MatrixClient;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Waiting>();

  constructor({ client, clock = systemClock }: CommandCallerOptions) {
    this.#client = client;
    this.#clock = clock;
  }

  /**
   * @returns the result of the one final answer
   * @throws {CommandError} what the other side says, or `deadline`; {MessagingError} when it could not
   * be sent; the signal's reason
   */
  async call(options: CallOptions): Promise<unknown> {
    const { room, command, to, timeoutMs } = options;
    const id = crypto.randomUUID();
    const content: Command = {
      msgtype: COMMAND,
      body: `${to}: ${command}`,
      command,
      ...(options.parameters === undefined ? {} : { parameters: options.parameters }),
      request_id: id,
      to,
      expires_at: this.#clock.now() + timeoutMs,
    };
    const done = Promise.withResolvers<unknown>();
    done.promise.catch(() => {});
    const waiting: Waiting = { options, event: null, done };
    const ends = new AbortController();
    const outer = [ends.signal, this.#client.lost];
    const signal = AbortSignal.any(
      options.signal === undefined ? outer : [...outer, options.signal],
    );
    signal.addEventListener("abort", () => done.reject(signal.reason), { once: true });
    // Known before it is sent: the answer may be faster than the answer to the sending.
    this.#waiting.set(id, waiting);
    this.#clock.sleep(timeoutMs, ends.signal).then(() =>
      ends.abort(
        new CommandError("deadline", `Cannot run "${command}": ${to} did not answer in time`, {
          status: 504,
        }),
      ), () => {});
    try {
      const type = "m.room.message";
      // The same transaction each time: a repeat is no second command.
      const send = () => this.#client.send(room, type, content, id, signal);
      const sent = retry(send, { signal, clock: this.#clock })
        .then((event) => void (waiting.event = event));
      await Promise.race([sent, done.promise]);
      return await done.promise;
    } finally {
      this.#waiting.delete(id);
      ends.abort(new MessagingError("ended", "the call has ended"));
    }
  }

  /** @returns true when the event answers a call of this caller's */
  handle(room: string, event: MatrixEvent): boolean {
    if (this.#waiting.size === 0) return false;
    const answer = readCommandResult(event);
    const waiting = answer === null ? undefined : this.#waiting.get(answer.request_id);
    if (answer === null || waiting === undefined) return false;
    const { options, done } = waiting;
    const isTheirs = room === options.room && event.sender === options.to &&
      (waiting.event === null || threadOf(event) === waiting.event);
    if (!isTheirs) return false;
    if (answer.status === "accepted") options.onProgress?.(answer);
    else if (answer.status === "success") done.resolve(answer.result ?? null);
    else {
      const { code, message } = answer.error ?? { code: "failed", message: answer.body };
      done.reject(new CommandError(code, message, { status: 502 }));
    }
    return true;
  }
}
