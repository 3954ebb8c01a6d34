// SPDX-License-Identifier: Apache-2.0

/** The daemon's side of tool approvals: who asks by which proxy, the registry, its file, its messages, its listeners. */
import * as z from "zod/mini";
import {
  type Answer,
  Approval,
  ApprovalRegistry,
  KEY,
  MAX_RESOURCE,
  MAX_TOOL,
  Permission,
  type Verdict,
} from "../../lib/approval/mod.ts";
import type { SyncBatch } from "../../messaging/mod.ts";
import { DaemonError } from "../errors.ts";
import { ANSWER_TYPES, QuestionRoom, type Telling } from "../questions.ts";
import { stateFile } from "../state_file.ts";
import type { ApprovalsAnswer, DecideApproval } from "./api.ts";
import { approvalContent, endContent, onlyOnce, viewOf } from "./message.ts";
import { isPerson, WorkerCalls } from "./workers.ts";

/** On the agent that asks; on the machine where a person's worker does. */
export const APPROVE_TOOLS = "grant/approve/tool";

const MAX_SHOWN = 100;
const MIN_PREFIX = 4;

/** A proxy has no more open at one time. */
const few = <T extends z.ZodMiniType>(type: T) => z.array(type).check(z.maxLength(64));

/** What a proxy says of approvals. It comes from a cell, so it is read like a stranger's. */
export const ApprovalNews = z.object({
  asked: z.optional(few(z.object({
    key: z.string().check(z.regex(KEY)),
    tool: z.string().check(z.minLength(1), z.maxLength(MAX_TOOL)),
    permission: Permission,
    resource: z.string().check(z.maxLength(MAX_RESOURCE)),
  }))),
  taken: z.optional(few(z.string())),
  left: z.optional(few(z.string())),
});
export type ApprovalNews = z.infer<typeof ApprovalNews>;

/** Hands an answer to the asker's proxy; it is tried until that has it or is gone. */
export type Reply = (key: string, answer: Answer) => void;

export interface ApprovalsOptions extends Telling {
  /** The same decision as at the daemon's socket, and written down like it. */
  readonly mayDecide: (user: string, principal: string) => boolean;
  /** The sync must bring these types from now on; none: nothing is open. */
  readonly onTypes: (types: readonly string[]) => void;
}

const StateSchema = z.object({ version: z.literal(1), approvals: z.array(Approval) });

export class Approvals {
  readonly registry: ApprovalRegistry;
  readonly workers: WorkerCalls;
  readonly #options: ApprovalsOptions;
  readonly #room: QuestionRoom<Approval, Approval>;
  readonly #replies = new Map<string, Reply>();
  readonly #watchers = new Set<() => void>();
  #follows = false;
  #isFirst = true;

  constructor(options: ApprovalsOptions) {
    this.#options = options;
    const { clock, log } = options;
    const file = stateFile({
      path: `${options.stateDir}/approvals.json`,
      schema: StateSchema,
      empty: () => ({ version: 1 as const, approvals: [] }),
      what: "approvals",
      unwritten: "they end with this daemon",
      log,
    });
    this.registry = new ApprovalRegistry({
      clock,
      store: {
        load: async () => (await file.load()).approvals,
        save: (all) => file.save({ version: 1, approvals: [...all] }),
      },
      onOpen: (approval) => {
        log.info("tool approval asked", { principal: approval.asker, approval: approval.id });
        this.#room.announce(approval);
      },
      onAnswer: (approval, answer) => {
        this.#replies.get(approval.asker)?.(approval.key, answer);
        this.workers.answered(approval, answer);
      },
      onEnd: (approval) => {
        const { asker: principal, id, state, verdict, by, via } = approval;
        log.info("tool approval ended", { principal, approval: id, state, verdict, by, via });
        this.#room.conclude(approval);
      },
      onChange: () => this.#changed(),
    });
    this.workers = new WorkerCalls(this.registry);
    this.#room = new QuestionRoom<Approval, Approval>({
      notice: "tool_approval",
      prefix: "bureau-approval",
      pending: () => this.registry.pending,
      announced: (id, event) => this.registry.announced(id, event),
      mayDecide: (user, { asker }) => options.mayDecide(user, asker),
      decide: (approval, { verdict, scope }, who) => {
        if (scope.kind !== "once") return onlyOnce;
        void this.registry.decide(approval.id, verdict, who);
        return null;
      },
      asks: (approval) => approvalContent(approval, options.admins),
      ended: endContent,
    }, options);
  }

  async load(): Promise<void> {
    await this.registry.load();
    this.#changed();
  }

  async close(): Promise<void> {
    await this.registry.close();
  }

  /** What one principal's proxy says. @param news null: it is not heard any more */
  hear(principal: string, news: ApprovalNews | null, reply: Reply): void {
    if (news === null) {
      if (this.#replies.get(principal) === reply) this.#replies.delete(principal);
      return this.registry.unheard(principal);
    }
    this.#replies.set(principal, reply);
    for (const key of news.taken ?? []) this.registry.delivered(principal, key);
    for (const key of news.left ?? []) this.registry.left(principal, key);
    for (const request of news.asked ?? []) {
      const answer = this.registry.ask(principal, request);
      if (answer !== null) reply(request.key, answer);
    }
  }

  /** What the sync brought of the config room. */
  take(batch: SyncBatch): void {
    this.#room.takeBatch(batch);
    // What was answered while no daemon was there.
    if (this.#isFirst) void this.#room.catchUp();
    this.#isFirst = false;
  }

  /** Whoever is not assigned any more leaves nothing to a namesake. */
  prune(isAssigned: (principal: string) => boolean): void {
    const askers = [...this.registry.pending, ...this.registry.ended].map(({ asker }) => asker);
    for (const asker of new Set(askers)) {
      if (!isPerson(asker) && !isAssigned(asker)) this.registry.forget(asker);
    }
  }

  /** @param may whether this one's may be shown */
  view(may: (principal: string) => boolean): ApprovalsAnswer {
    const shown = (all: readonly Approval[]) => all.filter(({ asker }) => may(asker)).map(viewOf);
    return {
      pending: shown(this.registry.pending),
      ended: shown(this.registry.ended).slice(0, MAX_SHOWN),
    };
  }

  /**
   * @param may tells whether the caller may decide about this principal's; what may not be is answered like what
   *   is not there
   * @throws {DaemonError} `not-asked`, `ambiguous`
   */
  async decide(
    { id, verdict }: DecideApproval,
    by: string,
    may: (principal: string) => boolean,
  ): Promise<ApprovalsAnswer["pending"][number]> {
    const wanted = id.toLowerCase();
    const meant = this.registry.pending.filter((one) =>
      wanted.length >= MIN_PREFIX && one.id.startsWith(wanted) && may(one.asker)
    );
    if (meant.length > 1) {
      throw new DaemonError("ambiguous", `Cannot decide "${id}": ${meant.length} begin so`, {
        status: 409,
        hint: "give more of its letters: `bureau agent approvals`",
      });
    }
    const decided = meant.length === 0 ? null : await this.#decide(meant[0]!, verdict, by);
    if (decided !== null) return viewOf(decided);
    throw new DaemonError("not-asked", `Cannot decide "${id}": no such approval is open`, {
      status: 404,
      hint: "`bureau agent approvals` shows what is open; four letters of it are the least",
    });
  }

  /** @returns the unsubscriber */
  watch(watcher: () => void): () => void {
    watcher();
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #decide({ id }: Approval, verdict: Verdict, by: string): Promise<Approval | null> {
    return this.registry.decide(id, verdict, { by, via: "cli" });
  }

  #changed(): void {
    const follows = this.registry.pending.length > 0;
    if (follows !== this.#follows) {
      this.#follows = follows;
      this.#options.onTypes(follows ? ANSWER_TYPES : []);
    }
    for (const watcher of this.#watchers) watcher();
  }
}
