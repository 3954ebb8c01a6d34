// SPDX-License-Identifier: Apache-2.0

/** Which requests may go to one service, or to one host. */
import { deniesAction, grantsAction } from "../lib/authorization/self.ts";
import type { RequestRule } from "../lib/schema/events.ts";
import { ProxyError } from "./errors.ts";

/** How a refusal names what it is about. */
export interface RulesPlace {
  readonly what: string;
  readonly of: string;
  readonly field: string;
}

function placeOfService(name: string): RulesPlace {
  return { what: `service "${name}"`, of: "its template", field: `proxy_services.${name}` };
}

export class RequestRules {
  readonly #place: RulesPlace;
  readonly #allow: readonly RequestRule[] | undefined;
  readonly #deny: readonly RequestRule[];

  /** @param place a service by its name, or anything else */
  constructor(
    place: RulesPlace | string,
    allow: readonly RequestRule[] | undefined,
    deny: readonly RequestRule[] | undefined,
  ) {
    this.#place = typeof place === "string" ? placeOfService(place) : place;
    this.#allow = allow;
    this.#deny = deny ?? [];
  }

  /**
   * @param path normalised, with its first slash
   * @throws {ProxyError} `request-refused`, 403, naming the rule
   */
  require(method: string, path: string): void {
    if (this.#allow === undefined && this.#deny.length === 0) return;
    const subject = path.slice(1);
    const spellings = spellingsOf(subject);
    const denied = this.#deny.findIndex((rule) =>
      appliesTo(rule, method) &&
      spellings.some((spelling) => deniesAction(rule.paths, spelling))
    );
    if (denied !== -1) throw this.#refused(method, path, `deny[${denied}] of ${this.#place.of}`);
    if (
      this.#allow === undefined ||
      this.#allow.some((rule) => appliesTo(rule, method) && grantsAction(rule.paths, subject))
    ) return;
    throw this.#refused(method, path, `no allow rule of ${this.#place.of}`);
  }

  #refused(method: string, path: string, rule: string): ProxyError {
    const shown = path.length > 120 ? `${path.slice(0, 120)}…` : path;
    return new ProxyError(
      "request-refused",
      `Cannot ${method} "${shown}" on ${this.#place.what}: refused by ${rule}`,
      {
        status: 403,
        hint: `an operator can change ${this.#place.field} in the template`,
      },
    );
  }
}

/**
 * What servers make of a path that decode once more, drop `;parameters` of segments (RFC 3986 §3.3; then
 * `..;` is a dot segment to some), take a backslash for a slash, or ignore empty segments and a last slash.
 */
function spellingsOf(path: string): string[] {
  const spellings = new Set([path]);
  if (path.includes("%")) {
    spellings.add(
      path.replace(
        /%([0-9A-F]{2})/g,
        (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
      ),
    );
  }
  for (const spelling of [...spellings]) spellings.add(spelling.replaceAll(/;[^/\\]*/g, ""));
  for (const spelling of [...spellings]) spellings.add(withoutDots(spelling));
  return [...spellings];
}

function withoutDots(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split(/[/\\]/)) {
    if (segment === "..") kept.pop();
    else if (segment !== "" && segment !== ".") kept.push(segment);
  }
  return kept.join("/");
}

function appliesTo({ methods }: RequestRule, method: string): boolean {
  return methods === undefined || methods.includes(method) ||
    (method === "HEAD" && methods.includes("GET"));
}
