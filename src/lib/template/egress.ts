// SPDX-License-Identifier: Apache-2.0

/** From a template's and an assignment's egress policy to the lists that the gate holds. */
import type { EgressPolicy } from "../schema/events.ts";
import { mergeEgress } from "./merge.ts";
import { presetOf } from "./presets.ts";

export interface ResolvedEgress {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

export const noEgress: ResolvedEgress = { allow: [], deny: [] };

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
  const list = (name: "allow" | "deny") => [
    ...new Set(
      (merged?.[name] ?? []).map((entry, at) => expand(entry, `egress.${name}[${at}]`))
        .flatMap((entry) => presetOf(entry) ?? [entry]),
    ),
  ];
  return { allow: list("allow"), deny: list("deny") };
}
