// SPDX-License-Identifier: Apache-2.0

/** Which hosts' requests the proxy reads, and what holds for them. Every other host's TLS passes unread. */
import {
  authorityOf,
  canonicalHost,
  hostPattern,
  parseAuthority,
  type Target,
} from "../../lib/authority.ts";
import type { Destination } from "../egress.ts";
import type { EgressRule } from "../../lib/schema/events.ts";
import type { BoundPlaceholder, EgressRules } from "../api.ts";
import { Live } from "../credentials/source.ts";
import { RequestRules } from "../rules.ts";
import { Secrets } from "../scrub.ts";
import { echoedForms } from "./encoding.ts";
import { Placeholders } from "./placeholders.ts";

export interface HostPolicy {
  readonly placeholders: Placeholders;
  /** Null: every request may pass. */
  readonly rules: RequestRules | null;
  /** What must not come back. */
  readonly secrets: Secrets;
  /** PEM; undefined: the system's roots. */
  readonly ca: string | undefined;
}

type Rule = EgressRule & { readonly matches: (target: Target) => boolean };

const noLive = new Live([]);
const noSecrets = new Secrets([]);
/** Policies are remembered for so many hosts. */
const MAX_REMEMBERED = 256;

export class HostTable {
  #bound: readonly BoundPlaceholder[] = [];
  #targets: readonly ReadonlySet<string>[] = [];
  #allow: readonly Rule[] = [];
  #deny: readonly Rule[] = [];
  readonly #remembered = new Map<string, HostPolicy>();
  #live = new Live([]);
  readonly #now: () => number;
  #generation = 0;
  /** Called after the rules were replaced. */
  onChange: () => void = () => {};

  constructor(
    placeholders: readonly BoundPlaceholder[],
    rules: EgressRules | undefined,
    now: () => number = () => Date.now(),
  ) {
    this.#now = now;
    this.bind(placeholders, noLive);
    if (rules !== undefined) this.setRules(rules);
  }

  /** From now on; requests that are on their way keep what they have. */
  bind(placeholders: readonly BoundPlaceholder[], live: Live): void {
    this.#bound = placeholders;
    this.#targets = placeholders.map(({ hosts }) =>
      new Set(hosts.flatMap((host) => {
        const target = parseAuthority(host);
        return target === null ? [] : [shown(target)];
      }))
    );
    this.#live = live;
    this.#remembered.clear();
    this.onChange();
  }

  /** From now on. A rule whose host can't be read allows nothing, or denies everything. */
  setRules({ allow, deny }: EgressRules): void {
    this.#allow = allow.flatMap((rule): Rule[] => {
      const matches = hostPattern(rule.host);
      return matches === null ? [] : [{ ...rule, matches }];
    });
    this.#deny = deny.map((rule): Rule => {
      const matches = hostPattern(rule.host);
      return matches === null ? { host: rule.host, matches: () => true } : { ...rule, matches };
    });
    this.#remembered.clear();
    this.onChange();
  }

  /** Whether TLS with this host must end in the proxy. */
  isRead(target: Target): boolean {
    return this.#isBound(target) ||
      [...this.#allow, ...this.#deny].some((rule) => rule.matches(target));
  }

  #isBound(target: Target): boolean {
    return this.#targets.some((hosts) => hosts.has(shown(target)));
  }

  /** The credentials of a host whose values change. */
  liveOf(target: Target): Live {
    if (this.#live.isEmpty) return this.#live;
    const host = shown(target);
    return this.#live.of(
      this.#bound.filter((_, at) => this.#targets[at]!.has(host)).map(({ value }) => value),
    );
  }

  /** @param tls in the clear, only this machine is given secrets */
  policyFor(target: Target, tls: boolean): HostPolicy {
    if (this.#generation !== this.#live.generation) {
      this.#generation = this.#live.generation;
      this.#remembered.clear();
    }
    const key = `${tls ? "https" : "http"}://${shown(target)}`;
    const remembered = this.#remembered.get(key);
    if (remembered !== undefined) return remembered;
    const policy = this.#policy(target, tls || isLoopback(canonicalHost(target.host)));
    if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
    this.#remembered.set(key, policy);
    return policy;
  }

  #policy(target: Target, mayHoldSecrets: boolean): HostPolicy {
    const host = shown(target);
    const here = (at: number) => mayHoldSecrets && this.#targets[at]!.has(host);
    const values = this.#bound.filter((_, at) => here(at));
    const live = mayHoldSecrets ? this.liveOf(target) : noLive;
    const allow = this.#allow.filter((rule) => rule.matches(target));
    const deny = this.#deny.filter((rule) => rule.matches(target));
    return {
      placeholders: new Placeholders(
        host,
        this.#bound.map(({ placeholder, value, places, expires_at }, at) => ({
          placeholder,
          value: here(at) ? this.#live.fill(value) : null,
          ...(places === undefined ? {} : { places }),
          ...(expires_at === undefined ? {} : { expires_at }),
        })),
        this.#now,
      ),
      rules: allow.length + deny.length === 0 ? null : new RequestRules(
        { what: `"${host}"`, of: `its egress policy for "${host}"`, field: "egress" },
        allow.length === 0 ? undefined : allow.map(requestRule),
        deny.map(requestRule),
      ),
      secrets: values.length === 0 ? noSecrets : new Secrets(
        [...values.map(({ value }) => live.fill(value)), ...live.secrets].flatMap(echoedForms),
      ),
      ca: values.find(({ ca }) => ca !== undefined)?.ca,
    };
  }
}

/** One spelling of each address, so that none slips past a rule or a binding. */
function shown({ host, port }: Target): string {
  return authorityOf({ host: canonicalHost(host), port });
}

function requestRule({ methods, paths }: EgressRule) {
  return { ...(methods === undefined ? {} : { methods }), paths: paths ?? ["**"] };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Where a request goes. */
export function destinationOf(
  { host, port }: Target,
  tls: boolean,
  ca: string | undefined,
): Destination {
  return { host, port, tls, isAddress: isAddress(host), ca };
}

export function isAddress(host: string): boolean {
  return host.includes(":") || /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}
