// SPDX-License-Identifier: Apache-2.0

/**
 * Upgrades that an operator asks for in Matrix. The daemon brings the request; what counts is the operator's signature,
 * by the keys of this machine's policy, and that the release lies here: whoever takes the daemon or the homeserver over
 * can't choose what runs. Each request is carried out once.
 */
import * as z from "zod/mini";
import type { Clock } from "../../lib/clock.ts";
import { BureauError, messageOf } from "../../lib/errors.ts";
import { createClient } from "../../lib/http/mod.ts";
import type { Logger } from "../../lib/log.ts";
import { BureauVersion } from "../../lib/schema/mod.ts";
import { verifyContent } from "../../lib/signature/mod.ts";
import { upgradeApi, type UpgradeReport } from "../../lib/upgrade/mod.ts";
import { SupervisorError } from "../errors.ts";
import type { Upgrader } from "./upgrader.ts";

/** While an upgrade goes on, or the daemon is away. */
const LOOK_MS = 1_000;
const SETTLE_S = 10;
const DEADLINE_S = 60;

const Policy = z.object({ operator_keys: z.array(z.string()) });

type Asked = NonNullable<UpgradeReport["asked"]>;

export interface AskedUpgradesOptions {
  readonly daemonSocket: string;
  /** By which the daemon knows us. Secret. */
  readonly token: string;
  readonly policyPath: string;
  /** User id of this machine. */
  readonly machine: () => string;
  readonly upgrader: Pick<Upgrader, "ledger" | "isBusy" | "remember" | "begin">;
  readonly clock: Clock;
  readonly log: Logger;
}

export class AskedUpgrades {
  readonly #options: AskedUpgradesOptions;
  /** What nobody signed is told of, and not written down: it could hide what somebody did sign. */
  #unsigned: Asked | null = null;

  constructor(options: AskedUpgradesOptions) {
    this.#options = options;
  }

  /** Until `signal` aborts. Never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { daemonSocket, token, clock, log } = this.#options;
    const client = createClient(upgradeApi, { socket: daemonSocket, token });
    try {
      while (!signal.aborted) {
        try {
          const { wanted } = await client.call("upgrade", { body: this.report(), signal });
          if (wanted !== null) await this.consider(wanted);
        } catch (thrown) {
          // A daemon that is being replaced, or of a release that knows nothing of this.
          if (!signal.aborted) log.debug("no word of upgrades", { why: messageOf(thrown) });
        }
        await clock.sleep(LOOK_MS, signal).catch(() => {});
      }
    } finally {
      client.close();
    }
  }

  report(): UpgradeReport {
    if (this.#unsigned !== null) return { seen: this.#unsigned.issued_at, asked: this.#unsigned };
    const asked = this.#outcome();
    return { seen: asked?.issued_at ?? null, asked };
  }

  #outcome(): Asked | null {
    const { upgrader } = this.#options;
    const { asked, updating, outcome } = upgrader.ledger;
    if (asked === undefined) return null;
    const { issued_at, to, at, result } = asked;
    const said = { issued_at, to, step: null };
    if (result !== null) {
      return { ...said, state: result.ok ? "done" : "refused", message: result.message };
    }
    if (updating?.to === to) {
      return { ...said, state: "running", step: updating.step, message: null };
    }
    if (outcome?.to === to && outcome.at >= at) {
      return { ...said, state: outcome.ok ? "done" : "failed", message: outcome.message };
    }
    if (upgrader.isBusy) return { ...said, state: "running", message: null };
    return { ...said, state: "failed", message: "it was cut short before anything was replaced" };
  }

  /** @param content as it stands in the room */
  async consider(content: Readonly<Record<string, unknown>>): Promise<void> {
    const { upgrader, clock, log } = this.#options;
    this.#unsigned = null;
    const parsed = z.safeParse(BureauVersion, content);
    // The daemon sends none that is malformed.
    if (!parsed.success) return;
    const { release, issued_at, issued_by, again, settle_seconds, deadline_seconds } = parsed.data;
    const said = { issued_at, to: release };
    try {
      await this.#verify(content, parsed.data.machine);
    } catch (thrown) {
      log.warn("upgrade refused", { to: release, why: messageOf(thrown) });
      this.#unsigned = { ...said, state: "refused", step: null, message: messageOf(thrown) };
      return;
    }
    const before = upgrader.ledger.asked;
    if (issued_at <= (before?.issued_at ?? 0)) {
      const message = "it is older than the last one that was carried out here";
      this.#unsigned = { ...said, state: "refused", step: null, message };
      return;
    }
    if (upgrader.isBusy) return;
    log.info("upgrade asked for", { to: release, by: issued_by });
    const asked = { ...said, at: clock.now() };
    // First, so that it is carried out once, whatever ends us.
    await upgrader.remember({ ...asked, result: null });
    try {
      const { begun } = await upgrader.begin({
        release,
        again: again ?? false,
        settle_s: settle_seconds ?? SETTLE_S,
        deadline_s: deadline_seconds ?? DEADLINE_S,
      });
      if (begun) return;
      await upgrader.remember({ ...asked, result: { ok: true, message: "it runs already" } });
    } catch (thrown) {
      if (thrown instanceof BureauError && thrown.code === "upgrading") {
        return await upgrader.remember(before);
      }
      log.warn("upgrade refused", { to: release, why: messageOf(thrown) });
      await upgrader.remember({ ...asked, result: { ok: false, message: messageOf(thrown) } });
    }
  }

  async #verify(content: object, named: string): Promise<void> {
    const { policyPath, machine } = this.#options;
    const policy = z.parse(Policy, JSON.parse(await Deno.readTextFile(policyPath)));
    await verifyContent(content, policy.operator_keys);
    if (named === machine()) return;
    throw new SupervisorError("wrong-machine", `Cannot upgrade: the request is for "${named}"`);
  }
}
