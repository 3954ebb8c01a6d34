// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { DaemonStatus, PrincipalView } from "../../daemon/api.ts";
import { BureauError } from "../../lib/errors.ts";
import type { SupervisorStatus } from "../../supervisor/api.ts";
import type { Snapshot } from "./gather.ts";
import { needsOf } from "./needs.ts";
import { screen } from "./screen.ts";

const NOW = Date.now();
const DAY = 86_400_000;

function principal(name: string, change: Partial<PrincipalView> = {}): PrincipalView {
  return {
    principal: `bureau/fleet/dev/agent/${name}`,
    user_id: `@bureau/fleet/dev/agent/${name}:bureau.local`,
    template: "bureau/template:agent",
    desired: "running",
    phase: "running",
    since: NOW - 60_000,
    restarts: 0,
    exit_code: null,
    message: null,
    hint: null,
    room: null,
    watchers: 0,
    egress: { allowed: 0, refused: 0, bytes: 0 },
    ...change,
  };
}

function snapshot(
  principals: readonly PrincipalView[],
  change: Partial<Snapshot> = {},
): Snapshot & { daemon: DaemonStatus; supervisor: SupervisorStatus } {
  const running = (name: string) => ({
    name,
    pid: 1,
    state: "running" as const,
    restarts: 0,
    started_at: NOW,
    message: null,
  });
  return {
    at: NOW,
    supervisor: {
      pid: 1,
      started_at: NOW,
      state: "ready",
      message: null,
      hint: null,
      homeserver_url: "http://127.0.0.1:6167",
      state_dir: "/s",
      run_dir: "/r",
      agent: null,
      processes: ["homeserver", "launcher", "web", "daemon", "authority"].map(running),
    },
    daemon: {
      version: "0",
      pid: 1,
      started_at: NOW,
      machine: "bureau/fleet/dev/machine/vm",
      homeserver_url: "http://127.0.0.1:6167",
      sync: { state: "ok", last_ok: NOW, message: null },
      launcher: { connected: true },
      principals: [...principals],
      asks: [],
    },
    approvals: [],
    homeserver: {
      url: "http://127.0.0.1:6167",
      reachable: true,
      latency_ms: 3,
      version: "v1.11",
      message: null,
    },
    credentials: [],
    machines: [],
    unread: [],
    ...change,
  } as Snapshot & { daemon: DaemonStatus; supervisor: SupervisorStatus };
}

Deno.test("what is well needs nobody", () => {
  const fine = snapshot([principal("a")], {
    credentials: [{
      principal: "bureau/fleet/dev/agent/a",
      name: "key",
      expires_at: NOW + 30 * DAY,
    }],
    machines: [{ name: "worker", at: NOW - 60_000 }],
  });
  assert.deepEqual(needsOf(fine), []);
  assert.doesNotMatch(screen(fine, null).join("\n"), /BAD|WAITS|SOON/);
});

Deno.test("whatever is wrong is said with what to do next, the worst first", () => {
  const ill = snapshot([
    principal("broken", { phase: "failed", message: "no such file", hint: "give it one" }),
    principal("sick", { health: { state: "unhealthy", since: NOW - 60_000, message: "status 1" } }),
    principal("fine"),
  ], {
    homeserver: {
      url: "http://x",
      reachable: false,
      latency_ms: null,
      version: null,
      message: "away",
    },
    credentials: [
      { principal: "bureau/fleet/dev/agent/fine", name: "old", expires_at: NOW - DAY },
      { principal: "bureau/fleet/dev/agent/fine", name: "soon", expires_at: NOW + DAY },
    ],
    machines: [{ name: "lost", at: NOW - DAY }, { name: "never", at: null }],
    approvals: [{
      ...{ id: "abcdef0123456789", principal: "bureau/fleet/dev/agent/fine", tool: "Bash" },
      ...{ permission: "execute", resource: "rm -rf /", since: NOW, until: NOW, state: "pending" },
      ...{ verdict: null, by: null, via: null, at: NOW },
    }] as unknown as Snapshot["approvals"],
    unread: [{ what: "which tool calls wait", why: new BureauError("failed", "it broke") }],
  });
  ill.supervisor.processes[2]!.state = "restarting";
  ill.daemon.launcher = { connected: false };
  const needs = needsOf(ill);
  assert.deepEqual(needs.map(({ kind, subject }) => `${kind} ${subject}`), [
    ...["bad web", "bad homeserver", "bad daemon", "bad agent/broken", "bad agent/sick"],
    ...["bad agent/fine", "bad machine lost", "bad machine never", "bad status"],
    ...["waits agent/fine", "soon agent/fine"],
  ]);
  for (const { next } of needs) assert.ok(next.length > 5, next);
  const text = screen(ill, null).join("\n");
  assert.match(text, /BAD +agent\/broken: failed: no such file\n +→ give it one/);
  assert.match(
    text,
    /WAITS +agent\/fine: asks to use Bash on rm -rf \/\n +→ bureau agent approve abcdef01/,
  );
  assert.match(text, /BAD +status: it is not known which tool calls wait: it broke/);
  assert.match(text, /DOES NOT ANSWER/);
});

Deno.test("forty agents fit a terminal of 80 by 24, the worst of them seen", () => {
  const many = Array.from({ length: 40 }, (_, at) => principal(`n${at}`));
  many[37] = principal("broken", { phase: "failed", message: "x".repeat(300) });
  const lines = screen(snapshot(many), { rows: 24, columns: 80 });
  assert.ok(lines.length <= 23, `${lines.length}`);
  assert.ok(lines.every((line) => line.length <= 80));
  assert.match(lines.join("\n"), /BAD +agent\/broken/);
  assert.match(lines.at(-1)!, /^and \d+ more: bureau agent list$/);
  // All of them where nobody's screen is in the way.
  assert.equal(screen(snapshot(many), null).filter((line) => /^agent\/n/.test(line)).length, 39);
  const ill = many.map((one) => ({ ...one, phase: "failed" as const }));
  const small = screen(snapshot(ill), { rows: 24, columns: 80 });
  assert.ok(small.length <= 23, small.join("\n"));
  assert.match(small.join("\n"), /and \d+ more that need somebody/);
});
