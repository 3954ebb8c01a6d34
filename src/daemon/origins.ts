// SPDX-License-Identifier: Apache-2.0

/** Which event a rule came in, and who sent it: the end of every explanation. */
import type { EffectivePolicy } from "../lib/authorization/mod.ts";
import { parseTemplateRef, stateKey } from "../lib/ref/mod.ts";
import { type Allowance, EventType, type Grant } from "../lib/schema/mod.ts";
import type { PolicyView, RuleView } from "./api.ts";
import type { Evaluation } from "./desired.ts";
import { POWER_LEVELS } from "./filter.ts";
import type { TrustContext } from "./trust.ts";

type Rule = Omit<Grant, "targets"> & { targets?: string[] | undefined } & Partial<Allowance>;
type Event = NonNullable<RuleView["event"]>;

export class Origins {
  readonly #known: () => TrustContext & { readonly configRoom: string | null };

  constructor(known: () => TrustContext & { readonly configRoom: string | null }) {
    this.#known = known;
  }

  /** @param userId whom the rule is of */
  view(rule: Rule, userId: string, evaluation: Evaluation | null): RuleView {
    const { source = "", expires_at, ticket, granted_at, granted_by, actions } = rule;
    const event = this.#eventOf(source, userId, evaluation, ticket);
    const by = granted_by ?? event?.sender;
    return {
      actions,
      source,
      event,
      ...(rule.targets === undefined ? {} : { targets: rule.targets }),
      ...(rule.actors === undefined ? {} : { actors: rule.actors }),
      ...(by === undefined ? {} : { granted_by: by }),
      ...(granted_at === undefined ? {} : { granted_at }),
      ...(expires_at === undefined ? {} : { expires_at }),
      ...(ticket === undefined ? {} : { ticket }),
    };
  }

  views(
    policy: EffectivePolicy,
    userId: string,
    evaluation: Evaluation | null,
  ): Omit<PolicyView, "user_id" | "kind"> {
    const all = (rules: readonly Rule[]) =>
      rules.map((rule) => this.view(rule, userId, evaluation));
    return {
      grants: all(policy.grants),
      denials: all(policy.denials),
      allowances: all(policy.allowances),
      allowance_denials: all(policy.allowance_denials),
    };
  }

  #eventOf(
    source: string,
    userId: string,
    evaluation: Evaluation | null,
    ticket = "",
  ): Event | null {
    const { configRoom } = this.#known();
    if (configRoom === null) return null;
    const key = stateKeyOf(userId);
    if (source === "operator") return this.#event(configRoom, POWER_LEVELS, "");
    if (source === "machine-default") return this.#event(configRoom, EventType.authorization, "");
    if (source === "principal") return this.#event(configRoom, EventType.assignment, key);
    if (source === "temporal") return this.#temporal(configRoom, ticket);
    if (source.startsWith("room:")) {
      return this.#event(source.slice("room:".length), EventType.authorization, key);
    }
    if (source !== "template" || !evaluation?.assignment) return null;
    const { name } = parseTemplateRef(evaluation.assignment.template);
    for (const room of evaluation.rooms) {
      const event = this.#event(room, EventType.template, name);
      if (event !== null) return event;
    }
    return null;
  }

  #temporal(room: string, ticket: string): Event | null {
    const type = EventType.temporalGrant;
    for (const { key, value } of this.#known().states.readAll(room, type)) {
      if ((value.grant.ticket ?? key) === ticket) return this.#event(room, type, key);
    }
    return null;
  }

  #event(room: string, type: string, key: string): Event | null {
    const entry = this.#known().states.get(room, type, key);
    if (entry === undefined) return null;
    return { room, type, state_key: key, sender: entry.sender, event_id: entry.eventId ?? null };
  }
}

function stateKeyOf(userId: string): string {
  try {
    return stateKey(userId);
  } catch {
    return userId.slice(1);
  }
}
