// SPDX-License-Identifier: Apache-2.0

/** What follows from health: what works is remembered, and what does not is replaced by it. */
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { healthTimes } from "../../lib/schema/health.ts";
import type { CreateRequest, ExitStatus } from "../api.ts";
import { LauncherError } from "../errors.ts";
import type { JournalEntry } from "../journal.ts";
import type { Principal } from "../principal.ts";
import type { Validated } from "../validate.ts";
import { type HealthRecord, HealthRecords } from "./records.ts";

/** What is made: what was asked for, or what worked before it. */
export interface Chosen {
  readonly request: CreateRequest;
  readonly validated: Validated;
  readonly rolledBack?: { readonly spec_digest: string; readonly why: string; readonly at: number };
}

/** The daemon leaves alone what crashed twice as often. */
const MAX_ENDS = 5;

interface Followed {
  request: CreateRequest;
  readonly validated: Validated;
}

export class HealthKeeper {
  readonly records: HealthRecords;
  readonly #clock: Clock;
  readonly #followed = new WeakMap<Principal, Followed>();

  /** @param stateDir `<state>/launcher` */
  constructor(stateDir: string, clock: Clock) {
    this.records = new HealthRecords(stateDir);
    this.#clock = clock;
  }

  /**
   * The last good spec in the place of one that is known to fail. Credentials and rights stay those of the
   * assignment that is in force: what was taken away does not come back.
   * @param validate as for any request, without regard to when it was signed
   * @throws {LauncherError} `no-way-back` when neither may be started
   */
  async choose(
    hash: string,
    asked: Chosen,
    validate: (request: CreateRequest) => Promise<Validated>,
  ): Promise<Chosen> {
    const { good, bad } = await this.records.get(hash);
    if (good === null || bad?.digest !== asked.validated.specDigest) return asked;
    const { trigger, ...rest } = asked.request;
    const keepsTrigger = trigger !== undefined &&
      good.request.assignment.start_condition !== undefined;
    const request: CreateRequest = {
      ...rest,
      assignment: good.request.assignment,
      template: good.request.template,
      ...(keepsTrigger ? { trigger } : {}),
    };
    try {
      const validated = await validate(request);
      return { request, validated, rolledBack: toldOf(bad) };
    } catch (cause) {
      throw new LauncherError(
        "no-way-back",
        `Cannot start "${asked.validated.localpart}": ${bad.why}, and what worked before may not be started: ${
          messageOf(cause)
        }`,
        { cause, status: 409, hint: "sign an assignment that works: `bureau agent create`" },
      );
    }
  }

  /** As it was told when it was made. */
  async rolledBack({ hash, instead }: JournalEntry): Promise<Pick<Chosen, "rolledBack">> {
    const bad = instead === undefined ? null : (await this.records.get(hash)).bad;
    return bad === null ? {} : { rolledBack: toldOf(bad) };
  }

  /** From the start of its sandbox, or its adoption. */
  follow(principal: Principal, { request, validated }: Chosen): void {
    const check = validated.spec.health;
    if (check === null) return;
    const followed = { request, validated };
    this.#followed.set(principal, followed);
    principal.followHealth(
      check,
      () => this.records.proven(principal.hash, validated.specDigest, followed.request),
    );
  }

  /** What runs has a newer assignment of the same spec: it is what would be gone back to. */
  async updated(principal: Principal, { request, validated, rolledBack }: Chosen): Promise<void> {
    const followed = this.#followed.get(principal);
    if (followed === undefined || rolledBack !== undefined) return;
    followed.request = request;
    const { good } = await this.records.get(principal.hash);
    if (good?.digest === validated.specDigest) {
      await this.records.proven(principal.hash, validated.specDigest, request);
    }
  }

  /** @param givenUp whether its health check was why it ended */
  async exited(principal: Principal, exit: ExitStatus, givenUp: boolean): Promise<void> {
    const followed = this.#followed.get(principal);
    if (followed === undefined || exit.code === 0) return;
    const { spec: { health }, specDigest } = followed.validated;
    const why = givenUp ? exit.reason! : `it ended with status ${exit.code} before it had worked`;
    const times = givenUp ? 1 : Math.min(healthTimes(health!).threshold, MAX_ENDS);
    await this.records.failed(principal.hash, specDigest, why, times, this.#clock.now());
  }
}

function toldOf({ digest, why, at }: NonNullable<HealthRecord["bad"]>) {
  return { spec_digest: digest, why, at };
}
