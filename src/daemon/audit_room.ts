// SPDX-License-Identifier: Apache-2.0

/**
 * Sensitive decisions as `m.bureau.audit` in the config room too, for who looks from elsewhere and for a history
 * that this machine can't rewrite. The file of `audit.ts` stays the whole record: here the rate is lower, and
 * what the homeserver never took is not said.
 */
import type { Clock } from "../lib/clock.ts";
import { AUDIT, type AuditEvent } from "../lib/schema/mod.ts";
import { type AuditEntry, Bucket, shortened } from "./audit.ts";

/** Of actions that take over, stop, or give rights. */
const SENSITIVE = [
  "credential/provision/",
  "credential/use/",
  "interrupt",
  "fleet/",
  "observe/read-write",
  "grant/approve/",
  "service/token",
] as const;

/** At once, and then one in ten seconds. */
const BURST = 30;
const PER_SECOND = 0.1;

export interface AuditRoomOptions {
  /** User id. */
  readonly machine: string;
  readonly clock: Clock;
  /** Takes an event of this type for the config room over. */
  readonly send: (type: string, content: Readonly<Record<string, unknown>>) => void;
}

export class AuditRoom {
  readonly #options: AuditRoomOptions;
  readonly #bucket: Bucket;

  constructor(options: AuditRoomOptions) {
    this.#options = options;
    this.#bucket = new Bucket(options.clock, BURST, PER_SECOND);
  }

  record({ decision, actor, action, target, reason, rules, details }: AuditEntry): void {
    if (decision === "end" || !isSensitive(action)) return;
    const suppressed = this.#bucket.take();
    if (suppressed === null) return;
    const { machine, clock, send } = this.#options;
    const event: AuditEvent = {
      version: 1,
      decision,
      actor,
      action,
      ...(target === undefined ? {} : { target }),
      ...(reason === undefined ? {} : { reason }),
      ...(rules === undefined ? {} : { rules: [...rules] }),
      ...(details === undefined ? {} : { details: { ...details } }),
      enforcement_point: "daemon",
      machine,
      at: Math.trunc(clock.now()),
      ...(suppressed === 0 ? {} : { suppressed }),
    };
    send(AUDIT, shortened(event));
  }
}

/** A rule's actions may be several patterns, with spaces between. */
function isSensitive(actions: string): boolean {
  return actions.split(" ").some((action) =>
    action === "**" || SENSITIVE.some((prefix) => action.startsWith(prefix))
  );
}
