// SPDX-License-Identifier: Apache-2.0
import { noticePart } from "../../lib/schema/mod.ts";
import type { UpgradeReport } from "../../lib/upgrade/mod.ts";
import { clean } from "../report.ts";

export type Asked = NonNullable<UpgradeReport["asked"]>;

/** What the room is told of an upgrade, for people and for programs. */
export function sentenceOf(
  asked: Asked,
  by: string,
): { readonly body: string; readonly part: Readonly<Record<string, unknown>> } {
  const { to, state, step } = asked;
  const release = clean(to).slice(0, 12);
  const why = asked.message === null ? "" : clean(asked.message);
  const parts = {
    running: step === null
      ? { status: "begun" as const, body: `upgrade to ${release}, asked for by ${by}: it begins` }
      : {
        status: "replacing" as const,
        body: `upgrade to ${release}: the ${clean(step)} is replaced`,
      },
    done: { status: "reconciled" as const, body: `upgraded to ${release}: ${why}` },
    failed: {
      status: "failed" as const,
      body: `the upgrade to ${release} failed: ${why}. What ran before runs again, and that ` +
        "release is not tried again unless it is asked for with --again",
    },
    refused: {
      status: "refused" as const,
      body: `no upgrade to ${release}, which ${by} asked for: ${why}`,
    },
  };
  const { status, body } = parts[state];
  const fields = {
    status,
    error: state === "failed" || state === "refused" ? why : undefined,
    release: clean(to),
    step: step === null ? undefined : clean(step),
    issued_at: Math.trunc(asked.issued_at),
    proxy_changed: undefined,
    launcher_changed: undefined,
    log_relay_changed: undefined,
  };
  return { body, part: noticePart("bureau_version_update", fields) };
}
