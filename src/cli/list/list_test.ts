// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { PrincipalView } from "../../daemon/api.ts";
import type { Usage } from "../../launcher/api.ts";
import { listTable, rowsOf } from "./list.ts";

function view(name: string, more: object = {}): PrincipalView {
  return {
    principal: `bureau/fleet/dev/agent/${name}`,
    user_id: `@bureau/fleet/dev/agent/${name}:s`,
    template: "t",
    desired: "running",
    phase: "running",
    since: 1_000,
    restarts: 0,
    exit_code: null,
    message: null,
    hint: null,
    room: null,
    watchers: 1,
    egress: { allowed: 0, refused: 0, bytes: 0 },
    ...more,
  };
}
const attention = (state: string, since = 1_000) => ({ attention: { state, since } });
const usage = (cpu_ms: number | null): Usage => ({
  memory_bytes: 3 * 2 ** 20,
  memory_peak_bytes: null,
  memory_limit_bytes: null,
  oom_kills: null,
  pids: 1,
  pids_limit: null,
  pids_refused: null,
  cpu_ms,
  cpu_throttled: null,
  frozen: false,
});

const sampleOf = (at: number, views: PrincipalView[], cpu: Record<string, number | null>) => ({
  at,
  views,
  usages: new Map(
    Object.entries(cpu).map(([name, ms]) => [
      `bureau/fleet/dev/agent/${name}`,
      ms === null ? null : usage(ms),
    ]),
  ),
});

Deno.test("list begins with who needs a person, and of those with who waits longest", () => {
  const views = [
    view("idle", attention("idle")),
    view("plain"),
    view("late", attention("waiting-input", 9_000)),
    view("early", attention("waiting-input", 2_000)),
    view("asks", attention("waiting-approval", 9_500)),
    view("works", attention("working")),
    view("broken", { phase: "failed", message: "no such\x1b[2J program" }),
    view("done", { phase: "exited", exit_code: 3 }),
  ];
  const rows = rowsOf(sampleOf(0, views, {}), sampleOf(1, views, {}));
  assert.deepEqual(rows.map(({ view }) => view.principal.split("/").at(-1)), [
    "broken",
    "asks",
    "early",
    "late",
    "works",
    "idle",
    "plain",
    "done",
  ]);
  const lines = listTable(rows);
  assert.match(lines[1]!, /^agent\/broken +! failed .* no such\\x1b\[2J program$/);
  assert.match(lines[8]!, /^agent\/done +exited .* exit status 3$/);
});

Deno.test("list has what was used between two looks, and no figure that nobody counted", () => {
  const views = [view("a"), view("b"), view("c"), view("d")];
  const rows = rowsOf(
    sampleOf(1_000, views, { a: 100, b: 100, c: 900, d: null }),
    sampleOf(1_500, views, { a: 600, b: 112, c: 10, d: null }),
  );
  assert.deepEqual(rows.map(({ cpu_percent: cpu }) => cpu), [100, 2.4, null, null]);
  const cells = listTable(rows).slice(1).map((line) => line.split(/\s{2,}/).slice(3, 5));
  assert.deepEqual(cells, [["100", "3"], ["2.4", "3"], ["-", "3"], ["-", "-"]]);
  assert.deepEqual(listTable([]), ["nothing is assigned to this machine"]);
});
