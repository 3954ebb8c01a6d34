// SPDX-License-Identifier: Apache-2.0

/** Who is who on this machine and what holds for them: what `decide` of `lib/authorization` decides with. */
import {
  decide,
  type Decision,
  effectiveGrants,
  type EffectivePolicy,
  noPolicy,
  operatorPolicy,
  type Party,
} from "../lib/authorization/mod.ts";
import type { AuthorizationPolicy } from "../lib/schema/mod.ts";

export interface AuthoritySources {
  /** User id. */
  readonly machine: string;
  readonly isOperator: (userId: string) => boolean;
  /** Of a principal of this machine, everything merged; null: it is none. */
  readonly principal: (userId: string) => EffectivePolicy | null;
  /** `m.bureau.authorization` of the config room about this user, or about everybody (""). */
  readonly room: (key: string) => { room: string; policy: AuthorizationPolicy } | null;
  readonly now: () => number;
}

export class Authority {
  readonly #sources: AuthoritySources;

  constructor(sources: AuthoritySources) {
    this.#sources = sources;
  }

  party(userId: string): Party {
    const { machine, isOperator, principal, room } = this.#sources;
    const operator = isOperator(userId);
    const own = principal(userId);
    if (own !== null) {
      const rights = operator ? effectiveGrants({ operator: operatorPolicy }) : noPolicy;
      return {
        userId,
        kind: operator ? "operator" : "principal",
        policy: { ...own, grants: [...rights.grants, ...own.grants] },
      };
    }
    const about = room(userId.slice(1));
    // What everybody on the machine is given is for its principals; what everybody is denied, for all.
    const denials = room("")?.policy.denials;
    const policy = effectiveGrants({
      operator: operator ? operatorPolicy : undefined,
      defaultPolicy: denials === undefined ? undefined : { denials },
      rooms: about === null ? [] : [about],
    });
    const kind = operator ? "operator" : userId === machine ? "machine" : "person";
    return { userId, kind, policy };
  }

  /** @param target user id; absent: self-service */
  decide(actor: string, action: string, target?: string): Decision {
    return decide(
      this.party(actor),
      action,
      target === undefined ? undefined : this.party(target),
      this.#sources.now(),
    );
  }

  may(actor: string, action: string, target?: string): boolean {
    return this.decide(actor, action, target).allowed;
  }

  /** What concerns the machine, and no single principal of it. */
  mayOnMachine(actor: string, action: string): boolean {
    return this.may(actor, action, this.#sources.machine);
  }
}
