// SPDX-License-Identifier: Apache-2.0

/**
 * What a supervisor and the daemon that it started say to each other of upgrades that are asked for in Matrix. The
 * supervisor asks, the daemon carries: it can neither make such a request nor start anything.
 */
import * as z from "zod/mini";
import { defineApi } from "../http/api.ts";

export const UpgradeReport = z.object({
  /** `issued_at` of the request that was looked at last; null: of none. */
  seen: z.nullable(z.number()),
  /** What became of it; null: there was none. */
  asked: z.nullable(z.object({
    issued_at: z.number(),
    to: z.string(),
    state: z.enum(["running", "done", "failed", "refused"]),
    /** The process that is being replaced. */
    step: z.nullable(z.string()),
    message: z.nullable(z.string()),
  })),
});
export type UpgradeReport = z.infer<typeof UpgradeReport>;

export const UpgradeAnswer = z.object({
  /** Content of `m.bureau.bureau_version` as it came, with its signature; null: nothing that was not seen. */
  wanted: z.nullable(z.record(z.string(), z.unknown())),
});
export type UpgradeAnswer = z.infer<typeof UpgradeAnswer>;

/** The daemon holds a question so long when it has nothing to say. */
export const HOLD_MS = 25_000;

export const upgradeApi = defineApi({
  title: "Bureau daemon",
  version: "1",
  routes: {
    upgrade: {
      method: "POST",
      path: "/v1/upgrade",
      summary:
        "Of the supervisor alone, by the token that it gave this daemon: says what became of the upgrade that was asked for, and waits for the next signed request",
      request: UpgradeReport,
      response: UpgradeAnswer,
    },
  },
});
