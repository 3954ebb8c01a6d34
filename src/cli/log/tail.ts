// SPDX-License-Identifier: Apache-2.0

/** `log tail`: what happens on an agent's terminal, as lines. */
import * as z from "zod/mini";
import { systemClock } from "../../lib/clock.ts";
import { HttpApiError } from "../../lib/http/mod.ts";
import { sizeText } from "../../lib/recording/mod.ts";
import { RecordingNews } from "../../daemon/api.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, loadSession, type OperatorSession, principalOf } from "../session.ts";
import { showLine } from "./show.ts";
import { Transcript, type TranscriptLine } from "./transcript.ts";

/** Without news for so long, what stands there is told: the recorder may hold the end of a line back for 2 s. */
const REST_MS = 3_000;
const RETRY_MS = 1_000;
const MAX_LINES = 10_000;

export const tail: CommandHandler = async (call) => {
  const session = await loadSession(call);
  const principal = principalOf(session, call.args[0]!);
  const wanted = Number(call.flags["lines"] ?? 10);
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > MAX_LINES) {
    throw new CliError(
      "usage",
      `Cannot begin with "${call.flags["lines"]}" lines: 0 to ${MAX_LINES}`,
    );
  }
  const follower = new Follower(call, wanted);
  // Refused where there is nothing to see; later, a daemon that is away is waited for.
  const daemon = daemonClient(call, session);
  try {
    await daemon.call("recordings", { params: { principal }, signal: call.signal });
  } finally {
    daemon.close();
  }
  while (!call.signal.aborted) {
    await followOnce(call, session, principal, follower);
    await systemClock.sleep(RETRY_MS, call.signal).catch(() => {});
  }
  // After the ^C.
  if (Deno.stdout.isTerminal()) call.emit("");
  return undefined;
};

/** @returns when the connection ends @throws what no waiting mends */
async function followOnce(
  call: Invocation,
  session: OperatorSession,
  principal: string,
  follower: Follower,
): Promise<void> {
  const daemon = daemonClient(call, session);
  try {
    const options = { params: { principal }, signal: call.signal };
    const events = daemon.events("followRecording", options);
    follower.connected();
    let next = events.next();
    while (true) {
      const quiet = new AbortController();
      const isQuiet = await Promise.race([
        next.then(() => false),
        systemClock.sleep(REST_MS, quiet.signal).then(() => true, () => false),
      ]);
      quiet.abort();
      if (isQuiet) await follower.rest();
      const { done, value } = await next;
      if (done) return;
      await follower.take(value);
      next = events.next();
    }
  } catch (thrown) {
    if (call.signal.aborted) return;
    const isGone = thrown instanceof HttpApiError &&
      (thrown.status === 401 || thrown.status === 403 || thrown.status === 404);
    if (isGone) throw thrown;
  } finally {
    daemon.close();
  }
}

class Follower {
  readonly #call: Invocation;
  #transcript: Transcript | null = null;
  /** What was there before: of it the last lines; null: they were told. */
  #past: TranscriptLine[] | null = [];
  readonly #wanted: number;
  /** What happens from here on is no past. */
  readonly #since = Date.now();
  /** Of the newest event that was taken: what comes again after a reconnection is not told again. */
  #told = 0;
  #isNew = true;
  #isRepeat = false;

  constructor(call: Invocation, wanted: number) {
    this.#call = call;
    this.#wanted = wanted;
  }

  /** The newest recording comes from its beginning. */
  connected(): void {
    this.#isNew = true;
  }

  async take(news: unknown): Promise<void> {
    const parsed = z.safeParse(RecordingNews, news);
    if (!parsed.success) return;
    const item = parsed.data;
    if (item.type === "recording") {
      this.#isRepeat = this.#isNew && item.started <= this.#told;
      this.#isNew = false;
      this.#transcript ??= new Transcript(item, (line) => this.#line(line));
      return await this.#transcript.add({ at: item.started, code: "r", data: sizeText(item) });
    }
    if (this.#isRepeat && item.at > this.#told) {
      // All until here was told before: its lines are what the next ones are compared with.
      await this.#transcript?.rest();
      this.#isRepeat = false;
    }
    // An agent that never rests has a past as well.
    if (this.#past !== null && item.at >= this.#since) await this.rest();
    this.#told = Math.max(this.#told, item.at);
    await this.#transcript?.add(item);
  }

  async rest(): Promise<void> {
    await this.#transcript?.rest();
    if (this.#past === null) return;
    const past = this.#past;
    this.#past = null;
    for (const line of past.slice(past.length - Math.min(this.#wanted, past.length))) {
      this.#show(line);
    }
  }

  #line(line: TranscriptLine): void {
    if (this.#isRepeat) return;
    if (this.#past === null) return this.#show(line);
    this.#past.push(line);
    if (this.#past.length > 2 * MAX_LINES) this.#past = this.#past.slice(-MAX_LINES);
  }

  #show(line: TranscriptLine): void {
    if (this.#call.json) this.#call.emit(JSON.stringify(line));
    else this.#call.emit(showLine(line, this.#call.flags["times"] === true));
  }
}
