// SPDX-License-Identifier: Apache-2.0

/**
 * Open questions about tool calls. Each is decided once, by whoever is first; its answer is handed over once; and
 * whatever goes wrong is a denial. What it knows survives a kill: a question that was open is open again, until its
 * asker has not come back for a while.
 */
import type { Clock } from "../clock.ts";
import { APPROVAL_TIMEOUT_MS } from "./limits.ts";
import type { Answer, Approval, ApprovalRequest, Decider, Verdict } from "./types.ts";

/** Questions of one asker that are open or unanswered; what comes beyond is denied. */
export const MAX_OPEN = 16;
/** An asker that is not heard of for so long is gone. */
export const GRACE_MS = 60_000;
/** Ended ones that are kept: they are told apart from what was never asked. */
const MAX_ENDED = 200;
const BURST = 32;
/** One more each 10 s. */
const REFILL_MS = 10_000;

export interface ApprovalStore {
  load(): Promise<readonly Approval[]>;
  /** Never throws. Resolves when it is on disk, or could not be written. */
  save(all: readonly Approval[]): Promise<void>;
}

export interface RegistryOptions {
  readonly clock: Clock;
  readonly store: ApprovalStore;
  /** A question, new or of an earlier life, of which nobody may have been told: tell whoever decides. */
  readonly onOpen: (approval: Approval) => void;
  /** Its answer stands and is on disk: hand it over. Called again for an asker that asks again. */
  readonly onAnswer: (approval: Approval, answer: Answer) => void;
  /** It will not change any more. */
  readonly onEnd: (approval: Approval) => void;
  readonly onChange?: () => void;
}

interface Held {
  approval: Approval;
  /** Until it expires, while it is pending. */
  readonly timer: AbortController;
  /** Until its asker is held for gone. */
  lost: AbortController | null;
}

export class ApprovalRegistry {
  readonly #options: RegistryOptions;
  readonly #held = new Map<string, Held>();
  #ended: Approval[] = [];
  readonly #buckets = new Map<string, { left: number; at: number }>();
  #closed = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** Takes up what an earlier life left. What is open stays so for `GRACE_MS`, should its asker be there still. */
  async load(): Promise<void> {
    const now = this.#options.clock.now();
    for (const approval of await this.#options.store.load()) {
      if (approval.state !== "pending" && approval.state !== "decided") {
        this.#ended.push(approval);
        continue;
      }
      const held: Held = { approval, timer: new AbortController(), lost: null };
      this.#held.set(approval.id, held);
      if (approval.state === "pending") this.#expireAt(held, now);
      this.#lose(held);
      // People may not have been told: whoever tells them does so once.
      if (approval.state === "pending" && approval.event_id === null) {
        this.#options.onOpen(approval);
      }
    }
  }

  /** Oldest first. */
  get pending(): readonly Approval[] {
    return this.#all.filter(({ state }) => state === "pending");
  }

  /** Newest first; those that are decided and not handed over are among them. */
  get ended(): readonly Approval[] {
    return [...this.#ended, ...this.#all.filter(({ state }) => state === "decided")]
      .sort((a, b) => b.at - a.at);
  }

  /**
   * The same key asks the same question again, whose answer it gets if it has not had it. What can't be asked is
   * answered at once.
   */
  ask(asker: string, request: ApprovalRequest): Answer | null {
    if (this.#closed) return denied("the question cannot be asked now");
    const known = this.#find(asker, request.key);
    if (known !== null) return this.#again(known, request);
    const used = this.#ended.find((one) => one.asker === asker && one.key === request.key);
    if (used !== undefined) {
      return denied(
        used.state === "delivered" ? "its answer was handed over already" : whyOf(used),
      );
    }
    const open = this.#all.filter((one) => one.asker === asker).length;
    if (open >= MAX_OPEN || !this.#take(asker)) {
      return denied("too many questions of this agent are open, or were asked lately");
    }
    this.#begin(asker, request);
    return null;
  }

  /**
   * @param verdict of whom the caller has made sure that they may decide
   * @returns null when it is not pending (any more): somebody else was first, or it has ended
   */
  async decide(id: string, verdict: Verdict, who: Decider): Promise<Approval | null> {
    const held = this.#held.get(id);
    if (held?.approval.state !== "pending") return null;
    // From here on nobody else decides it; only what is on disk is told to its asker.
    held.timer.abort();
    const decided = this.#set(held, { state: "decided", verdict, by: who.by, via: who.via });
    await this.#save();
    this.#tell(held);
    return decided;
  }

  /** The asker has the answer. */
  delivered(asker: string, key: string): void {
    const held = this.#find(asker, key);
    if (held?.approval.state === "decided") this.#end(held, "delivered");
  }

  /** The asker has given up. */
  left(asker: string, key: string): void {
    const held = this.#find(asker, key);
    if (held !== null) this.#end(held, "failed");
  }

  /** Its line was cut: it has `GRACE_MS` to ask again. @param key one question's; absent: all of them */
  unheard(asker: string, key?: string): void {
    for (const held of this.#held.values()) {
      const { approval } = held;
      if (approval.asker === asker && (key ?? approval.key) === approval.key) this.#lose(held);
    }
  }

  /** It is gone for good: a namesake inherits no answer. */
  forget(asker: string): void {
    for (const held of [...this.#held.values()]) {
      if (held.approval.asker === asker) this.#end(held, "failed");
    }
    this.#buckets.delete(asker);
  }

  /** People were told by this message. */
  announced(id: string, event: string): void {
    const held = this.#held.get(id);
    if (held === undefined || held.approval.event_id === event) return;
    held.approval = { ...held.approval, event_id: event };
    void this.#save();
  }

  /** What is open stays written down, for the next life. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { timer, lost } of this.#held.values()) {
      timer.abort();
      lost?.abort();
    }
    await this.#save();
  }

  get #all(): readonly Approval[] {
    return [...this.#held.values()].map(({ approval }) => approval);
  }

  #find(asker: string, key: string): Held | null {
    for (const held of this.#held.values()) {
      if (held.approval.asker === asker && held.approval.key === key) return held;
    }
    return null;
  }

  #again(held: Held, request: ApprovalRequest): Answer | null {
    const { tool, permission, resource, state } = held.approval;
    if (
      tool !== request.tool || permission !== request.permission || resource !== request.resource
    ) {
      return denied("another question was asked under this key");
    }
    held.lost?.abort();
    held.lost = null;
    if (state === "decided") this.#tell(held);
    return null;
  }

  #begin(asker: string, request: ApprovalRequest): void {
    const { clock, onOpen } = this.#options;
    const since = clock.now();
    const approval: Approval = {
      ...request,
      ...{ id: newId(), asker, since, until: since + APPROVAL_TIMEOUT_MS },
      ...{ state: "pending", verdict: null, by: null, via: null, at: since, event_id: null },
    };
    const held: Held = { approval, timer: new AbortController(), lost: null };
    this.#held.set(approval.id, held);
    this.#expireAt(held, since);
    void this.#save();
    onOpen(approval);
  }

  #expireAt(held: Held, now: number): void {
    const { clock } = this.#options;
    clock.sleep(Math.max(0, held.approval.until - now), held.timer.signal).then(
      () => {
        if (held.approval.state === "pending") this.#end(held, "expired");
      },
      () => {},
    );
  }

  #lose(held: Held): void {
    if (held.lost !== null) return;
    const lost = held.lost = new AbortController();
    this.#options.clock.sleep(GRACE_MS, lost.signal).then(
      () => this.#end(held, "failed"),
      () => {},
    );
  }

  #tell({ approval }: Held): void {
    if (this.#closed || approval.state !== "decided") return;
    this.#options.onAnswer(approval, {
      approved: approval.verdict === "approve",
      why: whyOf(approval),
    });
  }

  #set(held: Held, change: Partial<Approval>): Approval {
    return held.approval = { ...held.approval, ...change, at: this.#options.clock.now() };
  }

  #end(held: Held, state: "delivered" | "failed" | "expired"): void {
    if (this.#closed || !this.#held.delete(held.approval.id)) return;
    held.timer.abort();
    held.lost?.abort();
    const ended = this.#set(held, { state });
    this.#ended.push(ended);
    if (this.#ended.length > MAX_ENDED) this.#ended.shift();
    void this.#save();
    if (state !== "delivered") this.#options.onAnswer(ended, denied(whyOf(ended)));
    this.#options.onEnd(ended);
  }

  #take(asker: string): boolean {
    const now = this.#options.clock.now();
    const bucket = this.#buckets.get(asker) ?? { left: BURST, at: now };
    const more = Math.max(0, Math.floor((now - bucket.at) / REFILL_MS));
    bucket.left = Math.min(BURST, bucket.left + more);
    bucket.at = bucket.left === BURST ? now : bucket.at + more * REFILL_MS;
    this.#buckets.set(asker, bucket);
    if (bucket.left === 0) return false;
    bucket.left--;
    return true;
  }

  #save(): Promise<void> {
    this.#options.onChange?.();
    return this.#options.store.save([...this.#ended, ...this.#all]);
  }
}

export function whyOf({ state, verdict, by }: Approval): string {
  switch (state) {
    case "expired":
      return "nobody answered in time";
    case "failed":
      return "the asker was gone before it had an answer";
    case "pending":
      return "nobody has decided yet";
    default:
      return `${by} ${verdict === "approve" ? "approved" : "denied"} it`;
  }
}

const denied = (why: string): Answer => ({ approved: false, why });

/** 16 letters and digits that can't be taken for one another: 79 bits. People type its beginning. */
function newId(): string {
  const letters = "23456789abcdefghjkmnpqrstuvwxyz";
  let id = "";
  while (id.length < 16) {
    const [byte] = crypto.getRandomValues(new Uint8Array(1));
    // 248 = 8 × 31: each letter is as likely as the others.
    if (byte! < 248) id += letters[byte! % 31];
  }
  return id;
}
