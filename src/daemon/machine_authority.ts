// SPDX-License-Identifier: Apache-2.0

/** `Authority` with what this machine's daemon knows. */
import type { Decision, EffectivePolicy } from "../lib/authorization/mod.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { RoomStates } from "../messaging/mod.ts";
import type { DaemonBootstrap } from "./api.ts";
import type { EgressAsks } from "./asks/asks.ts";
import { Audit, type AuditEntry } from "./audit.ts";
import { AuditRoom } from "./audit_room.ts";
import { Authority } from "./authority.ts";
import type { Evaluation } from "./desired.ts";
import { Origins } from "./origins.ts";
import type { ManagedPrincipal } from "./principal.ts";
import { roomPolicy } from "./room_policy.ts";
import { isConfigAdmin, type TrustContext } from "./trust.ts";

export interface Known {
  readonly bootstrap: DaemonBootstrap;
  readonly states: RoomStates;
  /** Null before the first sync. */
  readonly configRoom: () => string | null;
  /** By full localpart. */
  readonly principal: (localpart: string) => ManagedPrincipal | undefined;
  /** With what was decided for a while. */
  readonly extend: EgressAsks["extend"];
  readonly clock: Clock;
  readonly log: Logger;
  /** Takes an event for the config room over. */
  readonly send: (type: string, content: Readonly<Record<string, unknown>>) => void;
}

export class MachineAuthority extends Authority {
  readonly trust: TrustContext;
  readonly origins: Origins;
  readonly audit: Audit;
  /** Grants and denials of each principal when it was last evaluated, as JSON. */
  readonly #noted = new Map<string, ReadonlySet<string>>();

  readonly #principal: Known["principal"];

  constructor(known: Known) {
    const { bootstrap, states, configRoom } = known;
    const trust = { states, machine: bootstrap.user_id, admins: bootstrap.admins };
    super({
      machine: bootstrap.user_id,
      isOperator: (user) => isOperator(known, user),
      principal: (user) => policyOf(known, user),
      room: (key) => {
        const room = configRoom();
        return room === null ? null : roomPolicy(trust, room, key);
      },
      now: () => known.clock.now(),
    });
    this.#principal = known.principal;
    const { clock, log, send } = known;
    const room = new AuditRoom({ machine: bootstrap.user_id, clock, send });
    const also = (entry: AuditEntry) => room.record(entry);
    this.audit = new Audit({ dir: bootstrap.state_dir, clock, log, also });
    this.trust = trust;
    this.origins = new Origins(() => ({ ...trust, configRoom: configRoom() }));
  }

  /** Decides, and writes down how. */
  audited(
    actor: string,
    action: string,
    target: string,
    details?: Readonly<Record<string, string>>,
  ): boolean {
    const decision = this.decide(actor, action, target);
    const { allowed, reason } = decision;
    this.audit.record({
      decision: allowed ? "allow" : "deny",
      actor,
      action,
      target,
      reason,
      rules: sourcesOf(decision),
      ...(details === undefined ? {} : { details }),
    });
    return allowed;
  }

  /** About another's doings: nobody decides about their own. @param localpart of a principal of this machine */
  auditedOver(actor: string, action: string, localpart: string): boolean {
    const target = this.#principal(localpart)?.userId;
    return target !== undefined && target !== actor && this.audited(actor, action, target);
  }

  /** Writes down which grants and denials came and went since it was last evaluated in this life of the daemon. */
  noted(userId: string, evaluation: Evaluation): Evaluation {
    const { policy, desired } = evaluation;
    // What runs keeps the rights it has meanwhile.
    if (desired.want === "hold" || desired.problem !== null) return evaluation;
    const rules = new Set([
      ...policy.grants.map((rule) => JSON.stringify({ grant: rule })),
      ...policy.denials.map((rule) => JSON.stringify({ denial: rule })),
    ]);
    const before = this.#noted.get(userId);
    if (desired.want === "absent") this.#noted.delete(userId);
    else this.#noted.set(userId, rules);
    if (before === undefined) return evaluation;
    const tell = (decision: "grant_created" | "grant_revoked", texts: Iterable<string>) => {
      for (const text of texts) {
        const { grant, denial } = JSON.parse(text);
        const rule = this.origins.view(grant ?? denial, userId, evaluation);
        this.audit.record({
          decision,
          // Whose event stands there now: of what was revoked, whoever changed it.
          actor: rule.event?.sender ?? this.trust.machine,
          action: rule.actions.join(" "),
          target: userId,
          rules: [rule.source],
          details: {
            kind: grant === undefined ? "denial" : "grant",
            event: rule.event?.event_id ?? "",
            until: rule.expires_at ?? "",
            ticket: rule.ticket ?? "",
          },
        });
      }
    };
    tell("grant_created", [...rules].filter((text) => !before.has(text)));
    tell("grant_revoked", [...before].filter((text) => !rules.has(text)));
    return evaluation;
  }
}

function sourcesOf({ grant, denial, allowance, allowanceDenial }: Decision): string[] {
  return [grant, denial, allowance, allowanceDenial].flatMap((rule) => rule?.source ?? []);
}

/** Before the first sync only the list is known. */
function isOperator({ bootstrap: { admins }, states, configRoom }: Known, user: string): boolean {
  const room = configRoom();
  return room === null ? admins.includes(user) : isConfigAdmin(states, room, user, admins);
}

function policyOf({ principal, extend }: Known, user: string): EffectivePolicy | null {
  const localpart = user.slice(1, user.lastIndexOf(":"));
  const managed = principal(localpart);
  if (managed?.userId !== user) return null;
  const { policy, egress } = managed.evaluation;
  const { grants, denials } = extend(localpart, { policy, egress }).policy;
  return { ...policy, grants, denials };
}
