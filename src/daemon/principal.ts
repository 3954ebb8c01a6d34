// SPDX-License-Identifier: Apache-2.0

/**
 * One principal: takes news in any order, acts one step at a time. Owns what belongs to the principal's
 * life on the daemon's side: its egress gate and the line to its proxy.
 */
import { flattenForProxy } from "../lib/authorization/mod.ts";
import { BureauError, messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { Localpart } from "../lib/ref/mod.ts";
import type { Principal as LauncherPrincipal } from "../launcher/api.ts";
import { accountOf } from "./account.ts";
import { Alarm } from "./alarm.ts";
import type { PrincipalView } from "./api.ts";
import type { EgressAsks } from "./asks/asks.ts";
import { Attachment } from "./attachment.ts";
import { cellOf } from "./cell.ts";
import { CONDITION_UNMET } from "./conditions/verdict.ts";
import { type Evaluation, notYetKnown, problemOf } from "./desired.ts";
import {
  type Action,
  afterConflict,
  afterCreated,
  afterDestroyed,
  afterRefused,
  isLive,
  type Memory,
  mustReplace,
  noMemory,
  reconcile,
  remembered,
} from "./reconcile.ts";
import { buildReport } from "./report.ts";
import type { PrincipalDeps } from "./principal_deps.ts";
import { healthOf } from "./health.ts";
import { traced } from "../lib/telemetry/mod.ts";
import { budgetsOf, mergeBudgets } from "../lib/template/mod.ts";
import { summarise, type Summary, wanted } from "./view.ts";

/** A problem whose cause may lie elsewhere (an alias, a room) is looked at again after this long. */
const REEVALUATE_MS = 30_000;

export class ManagedPrincipal {
  readonly localpart: Localpart;
  readonly userId: string;
  readonly attachment: Attachment;
  readonly #deps: PrincipalDeps;
  readonly #log: Logger;
  #evaluation: Evaluation = notYetKnown;
  #known = false;
  #revision = 0;
  #status: LauncherPrincipal | null = null;
  #memory: Memory = noMemory;
  #summary: Summary | null = null;
  /** `issued_at` of the signed removal that the launcher was told of. */
  #retired = 0;
  #since = 0;
  #stale = false;
  #dirty = false;
  #busy = false;
  #closed = false;
  readonly #alarm: Alarm;

  constructor(localpart: Localpart, userId: string, deps: PrincipalDeps) {
    this.localpart = localpart;
    this.userId = userId;
    this.#deps = deps;
    this.#log = deps.log.with({ principal: localpart });
    this.#alarm = new Alarm(deps.clock);
    this.attachment = new Attachment({
      principal: localpart,
      launcher: deps.launcher,
      runDir: deps.runDir,
      clock: deps.clock,
      log: this.#log,
      ask: deps.asks,
      gates: deps.gates,
      account: deps.spending.of(localpart),
      onRefused: (target, code, count = 1) =>
        deps.onRefused({ principal: localpart, target, code, count }),
      onSaid: (said) => deps.onSaid?.(localpart, said),
      onApprovals: (news, reply) => deps.onApprovals?.(localpart, news, reply),
    });
  }

  get evaluation(): Evaluation {
    return this.#evaluation;
  }

  get status(): LauncherPrincipal | null {
    return this.#status;
  }

  get memory(): Memory {
    return this.#memory;
  }

  /** Nothing wanted, nothing there: nothing to keep. */
  get isGone(): boolean {
    return this.#known && this.#status === null && this.#evaluation.desired.want === "absent";
  }

  /** The events about it may have changed. */
  reevaluate(): void {
    this.#stale = true;
    this.#poke();
  }

  /**
   * What the launcher says. Its answers and its events come over different connections, so the answer to
   * a `create` may come after the news of the end of what it made: older news is dropped.
   */
  setStatus(status: LauncherPrincipal | null, revision: number): void {
    if (revision < this.#revision) return;
    this.#revision = revision;
    this.#known = true;
    this.#status = status;
    this.attachment.follow(status);
    this.#poke();
  }

  /** The launcher is away; the next one counts its revisions anew. */
  forgetStatus(): void {
    this.#known = false;
    this.#revision = 0;
    this.#poke();
  }

  close(): void {
    this.#closed = true;
    this.#alarm.cancel();
    this.attachment.close();
  }

  #poke(): void {
    this.#dirty = true;
    if (this.#busy || this.#closed) return;
    this.#busy = true;
    this.#pass().finally(() => {
      this.#busy = false;
      if (this.#closed) return;
      // News that came after the last look and before this line must not wait for the next news.
      if (this.#dirty) this.#poke();
      else this.#deps.onIdle(this);
    });
  }

  async #pass(): Promise<void> {
    const began = performance.now();
    const isGood = await traced("reconcile", { principal: this.localpart }, () => this.#work())
      .then(() => true, (thrown) => {
        this.#log.error("pass failed", { why: messageOf(thrown) });
        return false;
      });
    this.#deps.onPass?.((performance.now() - began) / 1000, isGood);
  }

  async #work(): Promise<void> {
    while (this.#dirty && !this.#closed) {
      this.#dirty = false;
      if (this.#stale) {
        this.#stale = false;
        await this.#evaluate();
      }
      const { memory, action } = reconcile(
        this.#evaluation.desired,
        { known: this.#known, cell: cellOf(this.#status) },
        this.#memory,
        this.#deps.clock.now(),
      );
      this.#memory = memory;
      this.#alarm.cancel();
      this.#report();
      await this.#retire();
      if (action !== null) await this.#act(action);
      else this.#lookAgain();
    }
  }

  async #evaluate(): Promise<void> {
    const next = await this.#deps.evaluate(this.userId);
    const published = this.#deps.publisher.published(this.userId);
    this.#memory = remembered(this.#memory, published);
    const { want, problem } = next.desired;
    if (want === "hold" || problem !== null) {
      // What runs keeps the rights it has: the events give it no others at the moment.
      const { policy, egress } = this.#evaluation;
      this.#evaluation = { ...next, policy, egress };
      return;
    }
    const before = JSON.stringify(this.#evaluation.egress);
    this.#evaluation = next;
    this.pushRights();
    if (JSON.stringify(next.egress) !== before) this.#deps.asks.settle(this.localpart, next.egress);
  }

  /** What the events give, and what was decided for a while. */
  #rights(): ReturnType<EgressAsks["extend"]> {
    const { policy, egress } = this.#evaluation;
    const now = this.#deps.clock.now();
    return this.#deps.asks.extend(this.localpart, { policy: flattenForProxy(policy, now), egress });
  }

  pushRights(): void {
    const rights = this.#rights();
    const { template, assignment } = this.#evaluation;
    const budgets = budgetsOf(mergeBudgets(template?.budgets, assignment?.budgets));
    this.attachment.setRights(rights.policy, rights.egress, budgets);
  }

  async #act(action: Action): Promise<void> {
    switch (action.type) {
      case "wake":
        return this.#wakeAt(action.at);
      case "destroy":
        return await this.#destroy(action.graceMs);
      case "create":
        return await traced("start", { principal: this.localpart }, () => this.#create());
    }
  }

  async #create(): Promise<void> {
    const { assignment, template, credentials, trigger } = this.#evaluation;
    if (assignment === null || template === null) return;
    const rights = this.#rights().policy;
    this.attachment.carries(rights);
    try {
      const status = await this.#deps.launcher.call("create", {
        params: { principal: this.localpart },
        query: { unless_ended: "1" },
        body: {
          assignment,
          template,
          credentials,
          ...rights,
          ...(trigger === null ? {} : { trigger }),
        },
      });
      // One that is over already is no start that was accepted: its end is counted as any other.
      if (status.exit === null) {
        this.#memory = afterCreated(this.#memory);
        this.#log.info("started", { issued_at: assignment.issued_at });
      }
      this.setStatus(status, status.revision);
    } catch (thrown) {
      this.attachment.carries(null);
      const error = thrown instanceof BureauError ? thrown : null;
      if (error !== null && mustReplace(error, this.#evaluation.desired, cellOf(this.#status))) {
        this.#memory = afterConflict(this.#memory);
      } else {
        const refusal = problemOf(thrown);
        this.#log.warn("start refused", { code: refusal.code, why: refusal.message });
        this.#memory = afterRefused(this.#memory, refusal, this.#deps.clock.now());
      }
      this.#dirty = true;
    }
  }

  /** The launcher remembers a signed removal: whoever takes this daemon over can't undo it. */
  async #retire(): Promise<void> {
    const { assignment } = this.#evaluation;
    if (!this.#known || assignment === null || assignment.desired === "running") return;
    if (assignment.issued_at === this.#retired) return;
    try {
      await this.#deps.launcher.call("retire", {
        params: { principal: this.localpart },
        body: { assignment },
      });
    } catch (thrown) {
      if (thrown instanceof BureauError && thrown.code === "unreachable") return;
      // What it wants is done all the same: ending an agent needs nobody's signature.
      this.#log.warn("removal not recorded", { why: messageOf(thrown) });
    }
    this.#retired = assignment.issued_at;
  }

  async #destroy(graceMs: number): Promise<void> {
    try {
      const { revision } = await this.#deps.launcher.call("destroy", {
        params: { principal: this.localpart },
        query: { grace_ms: String(graceMs), started_at: String(this.#status?.started_at ?? "") },
      });
      this.#memory = afterDestroyed(this.#memory);
      this.setStatus(null, revision);
    } catch (thrown) {
      this.#log.warn("stop failed, will be tried again", { why: messageOf(thrown) });
      this.#wakeAt(this.#deps.clock.now() + 1_000);
    }
  }

  #lookAgain(): void {
    const { problem } = this.#evaluation.desired;
    if (problem === null || problem.code === CONDITION_UNMET) return;
    this.#wakeAt(this.#deps.clock.now() + REEVALUATE_MS, true);
  }

  #wakeAt(at: number, evaluate = false): void {
    this.#alarm.set(at, () => {
      if (evaluate) this.#stale = true;
      this.#poke();
    });
  }

  #report(): void {
    const { desired } = this.#evaluation;
    const now = this.#deps.clock.now();
    const actual = { known: this.#known, cell: cellOf(this.#status) };
    const next = summarise(desired, actual, this.#memory, now);
    const previous = this.#summary;
    const changed = previous === null || previous.phase !== next.phase ||
      previous.message !== next.message || previous.exitCode !== next.exitCode;
    this.#summary = next;
    const published = this.#deps.publisher.published(this.userId);
    if (next.since !== null) this.#since = next.since;
    else if (changed) {
      // The same as an earlier life of this daemon said: since then, not since its restart.
      const same = published?.["phase"] === next.phase &&
        (published["message"] ?? null) === next.message;
      this.#since = same && typeof published["since"] === "number" ? published["since"] : now;
    }
    const report = buildReport(
      this.userId,
      desired,
      next,
      this.#memory,
      this.#since,
      published,
      this.#isOpen ? "none" : "standard",
      healthOf(this.#status),
    );
    if (report !== null) this.#deps.publisher.publish(report);
  }

  /** True while its cell lives. */
  get isLive(): boolean {
    const cell = cellOf(this.#status);
    return cell !== null && isLive(cell);
  }

  view(): PrincipalView {
    const { desired, assignment } = this.#evaluation;
    const summary = this.#summary ??
      summarise(
        desired,
        { known: this.#known, cell: cellOf(this.#status) },
        this.#memory,
        this.#deps.clock.now(),
      );
    return {
      principal: this.localpart,
      user_id: this.userId,
      template: assignment?.template ?? "",
      desired: wanted(desired, this.isLive),
      phase: summary.phase,
      since: this.#since,
      restarts: this.#memory.restarts,
      exit_code: summary.exitCode,
      ...(typeof this.#status?.credentials_digest === "string"
        ? { credentials_digest: this.#status.credentials_digest }
        : {}),
      message: summary.message,
      hint: summary.hint,
      room: assignment?.room ?? null,
      watchers: this.attachment.watchers,
      egress: this.attachment.egress,
      ...(this.#isOpen ? { isolation: "none" as const } : {}),
      ...(this.isLive && this.#status?.frozen === true ? { frozen: true as const } : {}),
      ...healthOf(this.#status),
    };
  }

  /** Whether it has no sandbox. */
  get #isOpen(): boolean {
    return this.#evaluation.template?.isolation === "none";
  }

  /** `agent/scribe`, as people type it; the full localpart where it has no such form. */
  get account(): string {
    return accountOf(this.localpart);
  }
}
