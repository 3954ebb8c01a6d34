// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createLogger } from "../lib/log.ts";
import { type PrincipalStatus, readNotice } from "../lib/schema/mod.ts";
import { askContent, decidedContent } from "./asks/message.ts";
import { partOf } from "./report.ts";
import { tellReached } from "./spending.ts";

const status: PrincipalStatus = {
  principal: "@bureau/fleet/dev/agent/a:s",
  phase: "running",
  since: 5,
  restarts: 3,
};
const principal = "bureau/fleet/dev/agent/a";

Deno.test("each sentence about a principal has a part that programs can read", () => {
  assert.deepEqual(readNotice("principal_unisolated", partOf({ ...status, isolation: "none" })), {
    version: 1,
    principal,
    since: 5,
  });
  const failed = partOf({ ...status, phase: "failed", message: "no", hint: "mend it" });
  assert.deepEqual(readNotice("principal_start_failed", failed), {
    version: 1,
    principal,
    error: "no",
    hint: "mend it",
  });
  for (const phase of ["exited", "backing-off"] as const) {
    assert.deepEqual(readNotice("sandbox_exited", partOf({ ...status, phase, exit_code: 7 })), {
      version: 1,
      principal,
      exit_code: 7,
      restarting: phase === "backing-off",
      restarts: 3,
    });
    // How it ended is not known.
    assert.ok(readNotice("sandbox_exited", partOf({ ...status, phase, exit_code: null })));
  }
  for (const phase of ["starting", "stopped"] as const) {
    assert.deepEqual(partOf({ ...status, phase }), {});
  }
});

Deno.test("what is said of budgets and of asks is of its kind", () => {
  const said: Readonly<Record<string, unknown>>[] = [];
  const log = createLogger("test", {}, () => {});
  tellReached(log, (_, content) => said.push(content))(principal, "hour", "5 USD");
  assert.ok(readNotice("budget_reached", said[0]!));
  const ask = { id: "a1", principal, host: "h", port: 443, since: 1, until: 2, event_id: null };
  assert.equal(readNotice("egress_ask", askContent(ask, ["@o:s"]))?.state, "pending");
  const decided = decidedContent({
    ...ask,
    outcome: "approved",
    by: "@o:s",
    via: "reply",
    at: 2,
    expires_at: null,
    always: false,
  });
  const read = readNotice("egress_ask", decided);
  assert.deepEqual([read?.state, read?.["by"], "expires_at" in (read ?? {})], [
    "approved",
    "@o:s",
    false,
  ]);
});
