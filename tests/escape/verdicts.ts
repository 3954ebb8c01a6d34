// SPDX-License-Identifier: Apache-2.0

/** What the tests expect of results, and what they say of those that can't be had here. */
import assert from "node:assert/strict";
import type { ProbeResult } from "../../src/sandbox/probes/mod.ts";
import { KNOWN_OPEN } from "./open.ts";

const line = ({ id, note }: ProbeResult) => `${id}: ${note}`;

/** Every probe held, or can't be tried on this machine. */
export function assertHeld(where: string, results: readonly ProbeResult[]): void {
  for (const result of results) {
    if (result.verdict === "not-applicable") console.log(`not tried ${where}: ${line(result)}`);
  }
  const wrong = results.filter(({ id, verdict }) =>
    verdict === "failed" || (verdict === "breached" && !KNOWN_OPEN.includes(id))
  );
  assert.deepEqual(wrong.map(line), [], where);
}

/** Every probe breached what it could: it would have seen it. */
export function assertBreached(where: string, results: readonly ProbeResult[]): void {
  for (const result of results) {
    if (result.verdict === "not-applicable") {
      console.log(`skipped: no control ${where} for ${line(result)}`);
    }
  }
  const wrong = results.filter(({ verdict }) => verdict === "held" || verdict === "failed");
  assert.deepEqual(wrong.map(line), [], where);
}
