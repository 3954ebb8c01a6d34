// SPDX-License-Identifier: Apache-2.0

/** The egress policy in force for one principal, each line with where it comes from. */
import { authorityOf } from "../../lib/authority.ts";
import { expandVariables, presetOf } from "../../lib/template/mod.ts";
import type { EgressPolicy } from "../../lib/schema/mod.ts";
import type { Evaluation } from "../desired.ts";
import type { EgressLine, PrincipalEgress } from "./api.ts";
import type { TemporaryRule } from "./types.ts";

type ListName = "allow" | "deny" | "ask";

export function describeEgress(
  principal: string,
  evaluation: Evaluation,
  rules: readonly TemporaryRule[],
): PrincipalEgress {
  const { template, assignment, policy, egress } = evaluation;
  const variables = assignment?.variables ?? {};
  const lines = (list: ListName): EgressLine[] => [
    ...linesOf(template?.egress, list, "template", variables),
    ...linesOf(assignment?.egress, list, "assignment", variables),
    ...rules.filter((rule) => list === (rule.allowed ? "allow" : "deny")).map((rule) => ({
      entry: authorityOf(rule),
      source: `decision of ${rule.by} until ${new Date(rule.until).toISOString()}`,
    })),
  ];
  const derived = (from: readonly { actions: readonly string[]; source?: string | undefined }[]) =>
    from.filter(({ source }) => source === "egress").flatMap(({ actions }) => actions);
  return {
    principal,
    allow: lines("allow"),
    deny: lines("deny"),
    ask: lines("ask"),
    ask_timeout_s: egress.ask.timeoutMs / 1000,
    tunnels: derived(policy.grants),
    no_tunnels: derived(policy.denials),
  };
}

function linesOf(
  policy: EgressPolicy | undefined,
  list: ListName,
  source: string,
  variables: Readonly<Record<string, string>>,
): EgressLine[] {
  return (policy?.[list] ?? []).flatMap((entry, at): EgressLine[] => {
    const host = typeof entry === "string" ? entry : entry.host;
    const text = expand(host, variables, `egress.${list}[${at}]`);
    const preset = presetOf(text);
    if (preset !== undefined && preset !== null) {
      return preset.map((one) => ({ entry: one, source, preset: text.slice("preset:".length) }));
    }
    if (typeof entry === "string") return [{ entry: text, source }];
    const only = [...entry.methods ?? [], ...entry.paths ?? []].join(" ");
    return [{ entry: text, source, ...(only === "" ? {} : { only }) }];
  });
}

/** A variable without a value is shown as it is written: this is for people. */
function expand(text: string, variables: Readonly<Record<string, string>>, field: string): string {
  try {
    return expandVariables(text, variables, field);
  } catch {
    return text;
  }
}
