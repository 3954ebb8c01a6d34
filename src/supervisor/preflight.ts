// SPDX-License-Identifier: Apache-2.0

/** What the machine lacks, on one screen. */
import type { PreflightFinding } from "../launcher/api.ts";

/** @returns lines for a person: errors first, then warnings; nothing about what is fine */
export function describeFindings(findings: readonly PreflightFinding[]): string[] {
  const order = { error: 0, warning: 1, ok: 2 } as const;
  return findings
    .filter((finding) => finding.severity !== "ok")
    .toSorted((a, b) => order[a.severity] - order[b.severity])
    .flatMap((finding) => [
      `  ${finding.severity === "error" ? "missing" : "note   "}  ${finding.message}`,
      ...(finding.hint === undefined ? [] : [`           ${finding.hint}`]),
    ]);
}
