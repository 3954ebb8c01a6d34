// SPDX-License-Identifier: Apache-2.0

/**
 * Writes what a terminal showed into files, as it happens, and never holds up the terminal: a disk that is
 * slow costs output in the recording, one that is full costs the recording.
 */
import { type Clock, systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import {
  type CastCode,
  type Keep,
  leftOpen,
  pruneRecordings,
  recordingId,
  type SecretList,
  sizeText,
} from "../../lib/recording/mod.ts";
import type { Size } from "../frames.ts";
import type { ScreenView, StreamTap } from "../tap.ts";
import { compressPart, Part } from "./part.ts";
import { Redactor } from "./redactor.ts";

/** Of one file before it is compressed. */
const PART_BYTES = 16 * 1024 * 1024;
const PART_MS = 60 * 60_000;
/** A part ends in a quiet moment, or when it is so much larger than it should be. */
const OVERDUE = 1.25;
/** After so long without output nothing waits for the rest of a secret any more. */
export const QUIET_MS = 2_000;
/** Output that waits for the disk. */
const MAX_BACKLOG = 4 * 1024 * 1024;
/** After a failure. */
const RETRY_MS = 10 * 60_000;
/** What an earlier relay left is compressed when agents that start together have started. */
const RECOVER_MS = 10_000;
/** Of the relay's end, which waits 5 s at most. */
const END_MS = 4_000;

export interface RecorderOptions extends Keep {
  readonly dir: string;
  /** Full localpart; the recording's title. */
  readonly principal: string;
  readonly screen: ScreenView;
  readonly secrets: SecretList | null;
  /** Of the program, when it has ended. */
  readonly exitStatus?: () => Promise<number | null>;
  /** Told once when it stops and once when it goes on. */
  readonly onTrouble: (message: string) => void;
  readonly clock?: Clock;
  readonly partBytes?: number;
  readonly partMs?: number;
  readonly recoverMs?: number;
}

type Job =
  | { readonly type: "output"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly type: "event"; readonly at: number; readonly code: CastCode; readonly data: string }
  | { readonly type: "flush" }
  /** Null: the stream itself begins with the whole screen. */
  | {
    readonly type: "part";
    readonly at: number;
    readonly size: Size;
    readonly screen: Uint8Array | null;
  };

export class Recorder implements StreamTap {
  readonly #options: RecorderOptions;
  readonly #clock: Clock;
  readonly #session = crypto.getRandomValues(new Uint8Array(4)).toHex();
  readonly #redactor: Redactor;
  #hasSecrets: boolean;
  #jobs: Job[] = [];
  #pump: Promise<void> | null = null;
  #backlog = 0;
  #lost = 0;
  #part: Part | null = null;
  /** The file that is not to be compressed; set before it is there. */
  #writing: string | null = null;
  #parts = 0;
  /** Of the part that new jobs belong to; null: there is none. */
  #present: { readonly since: number; bytes: number } | null = null;
  #failedAt: number | null = null;
  #quiet: ReturnType<typeof setTimeout> | null = null;
  #lastOutput = 0;
  /** One at a time, beside the writing. */
  #housework: Promise<void> = Promise.resolve();
  readonly #recover: ReturnType<typeof setTimeout>;
  #isOver = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#hasSecrets = (options.secrets?.pieces.length ?? 0) > 0;
    this.#redactor = new Redactor(options.secrets);
    this.#recover = setTimeout(() => this.#tidy(), options.recoverMs ?? RECOVER_MS);
    Deno.unrefTimer(this.#recover as unknown as number);
  }

  /** Other secrets from here on. */
  replaceSecrets(list: SecretList): void {
    this.#hasSecrets ||= list.pieces.length > 0;
    this.#redactor.replace(list);
  }

  output({ at, bytes }: { readonly at: number; readonly bytes: Uint8Array }): void {
    if (this.#isOver || bytes.length === 0 || this.#isResting(at)) return;
    if (this.#backlog > MAX_BACKLOG) return void (this.#lost += bytes.length);
    if (this.#lost > 0) return this.#afterLoss(at);
    // After a failure the screen is older than what is recorded from here on.
    if (this.#present === null) {
      const isFirst = this.#parts === 0 && this.#failedAt === null;
      this.#newPart(at, !isFirst);
      if (!isFirst) return;
    }
    this.#present!.bytes += bytes.length;
    this.#add({ type: "output", at, bytes: bytes.slice() });
    this.#lastOutput = at;
    if (this.#isDue(at, 1)) {
      if (!this.#hasSecrets || this.#isDue(at, OVERDUE)) return this.#newPart(at, true);
    }
    if (this.#hasSecrets) this.#awaitQuiet();
  }

  resize(size: Size, at: number): void {
    this.#event(at, "r", sizeText(size));
  }

  watched(
    { what, who }: { readonly what: "came" | "left" | "types" | "released"; readonly who: string },
    at: number,
  ): void {
    const text = {
      came: "watches",
      left: "watches no more",
      types: "has the keyboard",
      released: "gave the keyboard back",
    }[what];
    this.mark(`${who} ${text}`, at);
  }

  /** A line of the recording's own: what happened beside the output. */
  mark(text: string, at: number): void {
    this.#event(at, "m", text.slice(0, 500));
  }

  async ended(reason: string, at: number): Promise<void> {
    if (this.#isOver) return;
    this.mark(reason, at);
    const present = this.#present;
    this.#isOver = true;
    clearTimeout(this.#recover);
    if (this.#quiet !== null) clearTimeout(this.#quiet);
    const status = present === null ? null : await this.#options.exitStatus?.() ?? null;
    if (status !== null) this.#add({ type: "event", at, code: "x", data: String(status) });
    this.#add({ type: "flush" });
    await this.#pump;
    this.#writing = null;
    this.#closePart();
    const late = new AbortController();
    await Promise.race([
      this.#housework,
      this.#clock.sleep(END_MS, late.signal).catch(() => {}),
    ]);
    late.abort();
  }

  /** Without output there is nothing that it could be told beside. */
  #event(at: number, code: CastCode, data: string): void {
    if (this.#isOver || this.#present === null || this.#isResting(at)) return;
    this.#add({ type: "event", at, code, data });
    if (this.#hasSecrets) this.#awaitQuiet();
  }

  #isResting(at: number): boolean {
    return this.#failedAt !== null && at - this.#failedAt < RETRY_MS;
  }

  #isDue(at: number, factor: number): boolean {
    const { partBytes = PART_BYTES, partMs = PART_MS } = this.#options;
    const { since, bytes } = this.#present!;
    return bytes >= partBytes * factor || (factor === 1 && at - since >= partMs);
  }

  #newPart(at: number, withScreen: boolean): void {
    const { screen } = this.#options;
    this.#present = { since: at, bytes: 0 };
    const { cols, rows } = screen.size;
    const drawn = withScreen ? screen.snapshot() : null;
    this.#add({ type: "part", at, size: { cols, rows }, screen: drawn });
  }

  #afterLoss(at: number): void {
    const text = `output is missing here: the disk was too slow for ${this.#lost} bytes`;
    this.#lost = 0;
    if (this.#present !== null) this.mark(text, at);
    this.#newPart(at, true);
  }

  #awaitQuiet(): void {
    this.#quiet ??= setTimeout(() => {
      this.#quiet = null;
      if (this.#isOver) return;
      const now = this.#clock.now();
      if (now - this.#lastOutput < QUIET_MS) return this.#awaitQuiet();
      this.#add({ type: "flush" });
      if (this.#present !== null && this.#isDue(now, 1)) this.#newPart(now, true);
    }, QUIET_MS);
  }

  #add(job: Job): void {
    this.#jobs.push(job);
    if (job.type === "output") this.#backlog += job.bytes.length;
    this.#pump ??= this.#run().finally(() => this.#pump = null);
  }

  async #run(): Promise<void> {
    // What comes at once is written at once.
    await Promise.resolve();
    while (this.#jobs.length > 0) {
      const jobs = this.#jobs.splice(0);
      try {
        for (const job of jobs) {
          await this.#do(job);
          if (job.type === "output") this.#backlog -= job.bytes.length;
        }
        await this.#part?.write();
      } catch (thrown) {
        this.#fail(thrown);
      }
    }
  }

  async #do(job: Job): Promise<void> {
    switch (job.type) {
      case "output":
        await this.#redactor.output(job.at, job.bytes);
        return this.#put(false);
      case "event":
        this.#redactor.event(job.at, job.code, job.data);
        return this.#put(false);
      case "flush":
        return this.#put(true);
      case "part":
        return await this.#begin(job);
    }
  }

  #put(all: boolean): void {
    for (const item of this.#redactor.take(all)) this.#part?.add(item);
  }

  async #begin({ at, size, screen }: Extract<Job, { type: "part" }>): Promise<void> {
    const { dir, principal } = this.#options;
    this.#parts++;
    const id = recordingId(this.#session, this.#parts, at);
    this.#writing = id;
    if (this.#part !== null) {
      // What waits stands on the new part's first screen.
      this.#redactor.drop();
      await this.#part.write();
      this.#closePart();
    }
    this.#part = await Part.create(dir, id, { ...size, startedAt: at, title: principal });
    if (screen !== null) this.#part.add({ at, bytes: await this.#redactor.screen(screen) });
    await this.#part.write();
    if (this.#failedAt !== null) {
      this.#failedAt = null;
      this.#options.onTrouble("recording goes on");
    }
  }

  #closePart(): void {
    const part = this.#part;
    if (part === null) return;
    this.#part = null;
    part.close();
    this.#tidy();
  }

  /** Compresses what is closed, and removes what is too much. Failures are the next time's. */
  #tidy(): void {
    const { dir, maxBytes, keepMs } = this.#options;
    this.#housework = this.#housework.then(async () => {
      const isWriting = (id: string) => id === this.#writing;
      for (const id of await leftOpen(dir, isWriting)) {
        // One that began while they were looked for.
        if (!isWriting(id)) await compressPart(dir, id);
      }
      await pruneRecordings(dir, { maxBytes, keepMs }, this.#clock.now(), isWriting);
    }).catch(() => {});
  }

  #fail(thrown: unknown): void {
    const isNews = this.#failedAt === null;
    this.#failedAt = this.#clock.now();
    try {
      this.#part?.close();
    } catch {
      // Closed already.
    }
    this.#part = null;
    this.#writing = null;
    this.#present = null;
    this.#jobs = [];
    this.#backlog = 0;
    this.#redactor.drop();
    if (isNews) this.#options.onTrouble(`recording stopped: ${messageOf(thrown)}`);
  }
}
