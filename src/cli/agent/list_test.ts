// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Attention, PrincipalView } from "../../daemon/api.ts";
import { attentionLines } from "./attention.ts";
import { agentTable, usageTable } from "./list.ts";

const VIEW: PrincipalView = {
  principal: "bureau/fleet/dev/agent/scribe",
  user_id: "@bureau/fleet/dev/agent/scribe:bureau.local",
  template: "t",
  desired: "running",
  phase: "running",
  since: Date.now(),
  restarts: 0,
  exit_code: null,
  message: null,
  hint: null,
  room: null,
  watchers: 0,
  egress: { allowed: 0, refused: 0, bytes: 0 },
};

Deno.test("the table of agents says which are frozen, and which are not isolated", () => {
  const notes = (view: Partial<PrincipalView>) => agentTable([{ ...VIEW, ...view }])[1]!;
  assert.doesNotMatch(notes({}), /FROZEN|ISOLATED/);
  assert.match(notes({ frozen: true }), /FROZEN/);
  assert.match(notes({ frozen: true, isolation: "none" }), /NOT ISOLATED FROZEN/);
});

Deno.test("the table of usage has limits where there are any, and says what nobody counts", () => {
  const usage = {
    memory_bytes: 5.5 * 2 ** 20,
    memory_peak_bytes: null,
    memory_limit_bytes: 512 * 2 ** 20,
    oom_kills: 1,
    pids: 7,
    pids_limit: null,
    pids_refused: 0,
    cpu_ms: 1234,
    cpu_throttled: null,
    frozen: true,
  };
  const [, counted, uncounted] = usageTable([
    { ...VIEW, frozen: true, usage },
    { ...VIEW, phase: "exited", usage: null },
  ]);
  assert.match(counted!, /^agent\/scribe +running, frozen +6 of 512 +7 +1\.2 +- +1 +0$/);
  assert.match(uncounted!, /^agent\/scribe +exited +- +- +- +- +- +-$/);
  assert.match(usageTable([])[0]!, /no agents/);
});

Deno.test("the table of agents begins with who needs a person, and says for how long", () => {
  const of = (name: string, state: Attention["state"], change: Partial<Attention> = {}) => ({
    ...VIEW,
    principal: `bureau/fleet/dev/agent/${name}`,
    attention: {
      state,
      since: Date.now() - 180_000,
      reason: "said" as const,
      message: null,
      unseen: true,
      ...change,
    },
  });
  const rows = agentTable([
    of("a", "working"),
    of("b", "waiting-input"),
    of("c", "idle", { reason: "not-running" }),
    of("d", "failed", { unseen: false }),
  ]).slice(1);
  assert.match(rows[0]!, /^agent\/d .* failed, 3 min +0/);
  assert.match(rows[1]!, /^agent\/b .* waits for input, 3 min \* +0/);
  assert.match(rows[2]!, /^agent\/a .* works +0/);
  assert.match(rows[3]!, /^agent\/c .* - +0/);
  const lines = attentionLines(
    { ...of("b", "waiting-input", { message: "which\x1b[2J?" }), last_line: "last\x07" },
    () => "3 min",
  );
  assert.deepEqual(lines, [
    [
      "attention",
      "waits for input, for 3 min (it says so itself): which\\x1b[2J?; nobody has watched it since",
    ],
    ["last line", "last\\x07"],
  ]);
});
