// SPDX-License-Identifier: Apache-2.0

/**
 * Tells the agent service what an agent does, where one fills the role `agent`; where none does, nothing. The agent
 * never waits for it: what can't be told yet waits in memory, up to a bound, and what is over that is left out.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Commit } from "../../services/agent/api.ts";
import type { AgentEvent } from "../event.ts";
import { type About, Link, type LinkOptions, type Piece, type Told } from "./link.ts";

export const SOCKET = "/run/bureau/service/agent.sock";
export const TOKEN_FILE = "/run/bureau/service/token/agent.token";

/** Lines that come so close together go together. */
const SETTLE_MS = 200;
const PIECE_BYTES = 256 * 1024;
const MAX_WAITING = 8 * 1024 * 1024;
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 10_000;

export type { About };

interface Lines {
  readonly kind: "lines";
  readonly session: string;
  readonly piece: Piece;
}

interface Commitment {
  readonly kind: "commit";
  readonly session: string;
  readonly told: Told;
}

export interface RecorderOptions extends Partial<LinkOptions> {
  readonly program: string;
  readonly clock?: Clock;
  /** What a person should know. */
  readonly say?: (text: string) => void;
}

export class Recorder {
  readonly #link: Link;
  readonly #clock: Clock;
  readonly say: (text: string) => void;
  readonly #waiting: (Lines | Commitment)[] = [];
  #leftOut = 0;
  #session: string | null = null;
  #pump: Promise<void> | null = null;
  #hasGap = true;
  /** Nobody filled the role when it was last looked. */
  #isAlone = false;
  #isClosing = new AbortController();

  constructor({ program, socket = SOCKET, tokenFile = TOKEN_FILE, clock, say }: RecorderOptions) {
    this.#link = new Link({ program, socket, tokenFile });
    this.#clock = clock ?? systemClock;
    this.say = say ?? (() => {});
  }

  /** Something is missing in its context since the last commit that stands for all: the next one must, too. */
  get hasGap(): boolean {
    return this.#hasGap;
  }

  event(event: AgentEvent): void {
    // A later one repeats it.
    if ("partial" in event && event.partial === true) return;
    if (event.type === "session") this.#session = event.session_id;
    if (this.#session === null) return;
    const line = `${JSON.stringify({ at: this.#clock.now(), ...event })}\n`;
    this.#lines(this.#session, new TextEncoder().encode(line));
  }

  /** @param contentOf lines of JSON; not made where nobody would have them */
  commit(about: About, contentOf: () => string): void {
    if (this.#session === null) return;
    const content = this.#isAlone ? null : contentOf();
    if (content === null || this.#size + content.length > MAX_WAITING && this.#waiting.length > 0) {
      this.#hasGap = true;
      return;
    }
    this.#hasGap = false;
    this.#waiting.push({ kind: "commit", session: this.#session, told: { about, content } });
    this.#start();
  }

  /** What one's context says now, where that is `wanted`; null too when nobody can be asked. */
  async context(
    wanted: (tip: Commit) => boolean,
  ): Promise<{ tip: Commit; content: string } | null> {
    if (!await this.#link.isThere()) return null;
    try {
      const tip = await this.#link.tip();
      if (tip === null || !wanted(tip)) return null;
      return { tip, content: await this.#link.materialise(tip.id) };
    } catch (thrown) {
      this.say(`the agent service can't be asked: ${messageOf(thrown)}`);
      return null;
    }
  }

  /** Tells what waits and that the session has ended, within `ms`. */
  async close(ms: number): Promise<void> {
    const late = new AbortController();
    const told = (async () => {
      await this.#pump;
      if (await this.#link.isThere()) await this.#link.end();
    })().catch(() => {});
    await Promise.race([told, this.#clock.sleep(ms, late.signal).catch(() => {})]);
    late.abort();
    this.#isClosing.abort();
    this.#link.close();
  }

  get #size(): number {
    return this.#waiting.reduce((sum, item) => sum + sizeOf(item), 0);
  }

  #lines(session: string, bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#size + bytes.length > MAX_WAITING) {
      this.#leftOut++;
      return;
    }
    const last = this.#waiting.at(-1);
    const fits = last?.kind === "lines" && last.session === session &&
      last.piece.sentAt === null && last.piece.bytes.length + bytes.length <= PIECE_BYTES;
    if (fits) {
      const joined = new Uint8Array(last.piece.bytes.length + bytes.length);
      joined.set(last.piece.bytes);
      joined.set(bytes, last.piece.bytes.length);
      last.piece.bytes = joined;
    } else this.#waiting.push({ kind: "lines", session, piece: { bytes, sentAt: null } });
    this.#start();
  }

  #start(): void {
    this.#pump ??= this.#tell().finally(() => {
      this.#pump = null;
      if (this.#waiting.length > 0 && !this.#isClosing.signal.aborted) this.#start();
    });
  }

  async #tell(): Promise<void> {
    // A turn may be over before anything is told.
    this.#isAlone = !await this.#link.isThere();
    await this.#pause(SETTLE_MS);
    let pause = FIRST_PAUSE_MS;
    while (this.#waiting.length > 0 && !this.#isClosing.signal.aborted) {
      this.#isAlone = !await this.#link.isThere();
      if (this.#isAlone) return this.#drop();
      const [item] = this.#waiting;
      try {
        await this.#send(item!);
        pause = FIRST_PAUSE_MS;
      } catch (thrown) {
        this.#link.lost();
        if (isPassing(thrown)) {
          await this.#pause(pause);
          pause = Math.min(2 * pause, LAST_PAUSE_MS);
          continue;
        }
        this.say(`the agent service refused what it was told: ${messageOf(thrown)}`);
        if (item!.kind === "commit") this.#hasGap = true;
      }
      this.#waiting.shift();
      this.#mention(item!.session);
    }
  }

  async #send(item: Lines | Commitment): Promise<void> {
    if (item.kind === "lines") await this.#link.append(item.session, item.piece);
    else await this.#link.commit(item.session, item.told);
  }

  /** In its place in the log. */
  #mention(session: string): void {
    if (this.#leftOut === 0 || this.#waiting.length > 0) return;
    const text = `(${this.#leftOut} events are missing here: the agent service was away)`;
    this.#leftOut = 0;
    const line = JSON.stringify({ at: this.#clock.now(), type: "output", text });
    this.#lines(session, new TextEncoder().encode(`${line}\n`));
  }

  /** Nobody fills the role. */
  #drop(): void {
    this.#waiting.length = 0;
    this.#leftOut = 0;
    this.#hasGap = true;
    this.#link.lost();
  }

  async #pause(ms: number): Promise<void> {
    await this.#clock.sleep(ms, this.#isClosing.signal).catch(() => {});
  }
}

function sizeOf(item: Lines | Commitment): number {
  return item.kind === "lines" ? item.piece.bytes.length : item.told.content.length;
}

/** The service, or the token, is another a moment later; the log's end is asked for again. */
function isPassing(thrown: unknown): boolean {
  const { status = 500, code } = thrown as { status?: number; code?: string };
  return status >= 500 || status === 401 || status === 404 && code === "no-such-session" ||
    status === 409 &&
      (code === "wrong-offset" || code === "session-ended" || code === "session-active");
}
