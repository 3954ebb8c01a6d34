// SPDX-License-Identifier: Apache-2.0

/** Does what others in a room ask of this account, and answers each once. */
import { type Clock, systemClock } from "../lib/clock.ts";
import { BureauError, messageOf } from "../lib/errors.ts";
import { type Command, COMMAND_RESULT, type CommandResult, readCommand } from "./command.ts";
import { CommandError } from "./command_caller.ts";
import { MessagingError } from "./errors.ts";
import type { Message } from "./outbox.ts";
import { inThread } from "./relations.ts";
import type { MatrixEvent } from "./types.ts";

export interface CommandCall {
  readonly room: string;
  /** User id of who asks, by the homeserver's word. */
  readonly sender: string;
  readonly command: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Aborts at the command's deadline, and when the server ends. */
  readonly signal: AbortSignal;
  /** Tells the caller that it goes on. */
  progress(text: string): Promise<void>;
}

export interface CommandServerOptions {
  /** This account: commands to others are none of its business. */
  readonly userId: string;
  /** Takes over an answer; `Outbox.put` for answers that survive a restart. */
  readonly send: (message: Message) => Promise<void>;
  /** By command. What is returned is the result; what is thrown, a `BureauError` best, the error. */
  readonly handlers: Readonly<Record<string, (call: CommandCall) => Promise<unknown>>>;
  /** Whether this sender may. Asked before anything is done. */
  readonly may: (call: CommandCall) => boolean | Promise<boolean>;
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /** An answer could not be handed over. */
  readonly onError: (error: unknown) => void;
}

type Answer = Omit<CommandResult, "msgtype" | "request_id">;

/** Commands that are remembered as begun: the same event may come twice after a reconnection. */
const MAX_SEEN = 2_000;
/** Being done at one time; more are refused, not queued. */
const MAX_RUNNING = 64;

/**
 * Give every timeline event to `handle`. A command is begun once in a life of the process. After a crash
 * it may be begun again, if its event comes again; it still has one final answer, by its transaction id.
 */
export class CommandServer {
  readonly #options: CommandServerOptions;
  readonly #clock: Clock;
  readonly #seen = new Set<string>();
  readonly #running = new Set<Promise<void>>();

  constructor(options: CommandServerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** @returns true when the event is a command to this account */
  handle(room: string, event: MatrixEvent): boolean {
    const command = readCommand(event);
    const id = event.event_id;
    if (command === null || id === undefined || command.to !== this.#options.userId) return false;
    if (this.#seen.has(id)) return true;
    if (this.#seen.size >= MAX_SEEN) this.#seen.delete(this.#seen.values().next().value!);
    this.#seen.add(id);
    const running = this.#answer(room, id, event.sender, command)
      .catch((thrown) => this.#options.onError(thrown))
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
    return true;
  }

  /** Resolves when nothing is being done. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #answer(
    room: string,
    event: string,
    sender: string,
    { command, parameters = {}, request_id, expires_at }: Command,
  ): Promise<void> {
    const began = this.#clock.now();
    const ends = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, ends.signal]);
    let told = 0;
    const tell = async (kind: string, answer: Answer) =>
      await this.#options.send({
        room,
        type: "m.room.message",
        txn: `bureau-command-${event}-${kind}`,
        content: inThread({ msgtype: COMMAND_RESULT, request_id, ...answer }, event),
      });
    const call: CommandCall = {
      room,
      sender,
      command,
      parameters,
      signal,
      progress: async (body) => {
        // Nothing comes after the final answer.
        signal.throwIfAborted();
        await tell(`${told++}`, { status: "accepted", body });
      },
    };
    const timer = new AbortController();
    this.#clock.sleep(Math.max(0, expires_at - began), timer.signal).then(
      () => ends.abort(new CommandError("deadline", `Cannot finish "${command}" in time`)),
      () => {},
    );
    let answer: Answer;
    try {
      const result = await this.#run(call, expires_at <= began);
      answer = { status: "success", body: `${command}: done`, result };
    } catch (thrown) {
      // The next life answers, if the event comes to it.
      if (this.#options.signal.aborted) return;
      answer = failure(command, thrown);
    } finally {
      timer.abort();
      ends.abort(new CommandError("ended", `Cannot go on with "${command}": it has ended`));
    }
    const final = { ...answer, duration_ms: this.#clock.now() - began };
    try {
      await tell("final", final);
    } catch (thrown) {
      if (!(thrown instanceof MessagingError) || thrown.code !== "too-large") throw thrown;
      await tell("final", failure(command, thrown));
    }
  }

  async #run(call: CommandCall, isLate: boolean): Promise<unknown> {
    const { command, sender, signal } = call;
    if (isLate) throw new CommandError("deadline", `Cannot run "${command}": it came too late`);
    if (this.#running.size >= MAX_RUNNING) {
      throw new CommandError("busy", `Cannot run "${command}": too much is being done already`);
    }
    const { handlers, may } = this.#options;
    // Not told apart from what there isn't: who may not, need not know.
    if (!Object.hasOwn(handlers, command) || !await may(call)) {
      throw new CommandError(
        "not-found",
        `Cannot run "${command}": no such command, or not for ${sender}`,
      );
    }
    const deadline = Promise.withResolvers<never>();
    const onAbort = () => deadline.reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await Promise.race([handlers[command]!(call), deadline.promise]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }
}

function failure(
  command: string,
  thrown: unknown,
): Answer {
  const code = thrown instanceof BureauError ? thrown.code : "failed";
  const message = messageOf(thrown).slice(0, 1_000);
  return { status: "error", body: `${command}: ${message}`, error: { code, message } };
}
