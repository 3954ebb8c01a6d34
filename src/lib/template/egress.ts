// SPDX-License-Identifier: Apache-2.0

/** From a template's and an assignment's egress policy to the lists that the gate holds. */
import type { EgressEntry, EgressPolicy, EgressRule } from "../schema/events.ts";
import { hostPattern } from "../authority.ts";
import { mergeEgress } from "./merge.ts";
import { presetOf } from "./presets.ts";

export interface ResolvedEgress {
  /** For the gate, which sees hosts and no requests. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** For the proxy. */
  readonly requests: EgressRequests;
  /** What an operator is asked about where neither list decides. */
  readonly ask: EgressAsk;
}

export interface EgressAsk {
  readonly hosts: readonly string[];
  readonly timeoutMs: number;
}

/** Bounds of `ask_timeout`, in seconds. A proxy gives a silent connection up after ten minutes. */
export const ASK_TIMEOUT = { least: 10, most: 540, default: 120 } as const;

/** What of some hosts' requests may pass. */
export interface EgressRequests {
  readonly allow: readonly EgressRule[];
  readonly deny: readonly EgressRule[];
}

export const noEgress: ResolvedEgress = {
  allow: [],
  deny: [],
  requests: { allow: [], deny: [] },
  ask: { hosts: [], timeoutMs: ASK_TIMEOUT.default * 1000 },
};

/**
 * Variables expanded, presets replaced by their hosts, each entry once. An unknown preset stays as it is:
 * the gate takes it for the malformed entry that it is.
 *
 * @param expand one entry, and its field for a message
 */
export function resolveEgress(
  template: EgressPolicy | undefined,
  assignment: EgressPolicy | undefined,
  expand: (entry: string, field: string) => string,
): ResolvedEgress {
  const merged = mergeEgress(template, assignment);
  const entries = (name: "allow" | "deny"): EgressEntry[] =>
    (merged?.[name] ?? []).flatMap((entry, at): EgressEntry[] => {
      const field = `egress.${name}[${at}]`;
      if (typeof entry !== "string") return [{ ...entry, host: expand(entry.host, field) }];
      const text = expand(entry, field);
      return [...presetOf(text) ?? [text]];
    });
  const allow = entries("allow");
  const deny = entries("deny");
  return {
    allow: [...new Set(allow.map(hostOf))],
    // A denial of some requests leaves the host reachable; one whose host can't be read denies everything.
    deny: [
      ...new Set(
        deny.filter((entry) => !isNarrow(entry) || hostPattern(entry.host) === null).map(hostOf),
      ),
    ],
    requests: { allow: allow.filter(isNarrow), deny: deny.filter(isNarrow) },
    ask: {
      hosts: [
        ...new Set(
          (merged?.ask ?? []).map((entry, at) => expand(entry, `egress.ask[${at}]`))
            .flatMap((entry) => presetOf(entry) ?? [entry]),
        ),
      ],
      timeoutMs: askTimeoutMs(merged?.ask_timeout),
    },
  };
}

/** What is out of bounds is brought to the nearest bound: the field is a person's patience, not a right. */
function askTimeoutMs(seconds: number | undefined): number {
  const { least, most, default: usual } = ASK_TIMEOUT;
  return Math.round(Math.min(most, Math.max(least, seconds ?? usual)) * 1000);
}

/** Whether an entry speaks of some requests only. */
function isNarrow(entry: EgressEntry): entry is EgressRule {
  return typeof entry !== "string" && (entry.methods !== undefined || entry.paths !== undefined);
}

function hostOf(entry: EgressEntry): string {
  return typeof entry === "string" ? entry : entry.host;
}
