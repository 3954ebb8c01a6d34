// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createLogger } from "../lib/log.ts";
import { AuditEvent } from "../lib/schema/mod.ts";
import { Audit, type AuditEntry } from "./audit.ts";
import { AuditRoom } from "./audit_room.ts";

const log = createLogger("test", {}, () => {});

async function inDirectory(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("Audit writes what happened, bounded, and counts what it left out", async () => {
  await inDirectory(async (dir) => {
    let now = 1_700_000_000_000;
    const clock = { now: () => now, sleep: () => Promise.resolve() };
    const audit = new Audit({ dir, clock, log });
    const entry = { decision: "deny", actor: "@a:local", action: "x".repeat(2000) } as const;
    for (let i = 0; i < 1000; i++) audit.record(entry);
    now += 1000;
    audit.record({ ...entry, action: "y" });
    await audit.settled();
    const text = await Deno.readTextFile(`${dir}/audit.jsonl`);
    const lines = text.trim().split("\n").map((line) => JSON.parse(line));
    assert.equal(lines.length, 201);
    assert.equal(lines[0].action.length, 512);
    assert.deepEqual([lines.at(-1).action, lines.at(-1).suppressed], ["y", 800]);
    assert.equal(((await Deno.stat(`${dir}/audit.jsonl`)).mode ?? 0) & 0o777, 0o600);
  });
});

Deno.test("Audit keeps one older file when its file is full", async () => {
  await inDirectory(async (dir) => {
    await Deno.writeTextFile(`${dir}/audit.jsonl`, "x".repeat(8 * 1024 * 1024));
    const clock = { now: () => 0, sleep: () => Promise.resolve() };
    const audit = new Audit({ dir, clock, log });
    audit.record({ decision: "allow", actor: "@a:local", action: "observe" });
    await audit.settled();
    assert.ok((await Deno.stat(`${dir}/audit.jsonl`)).size < 1000);
    assert.equal((await Deno.stat(`${dir}/audit.jsonl.1`)).size, 8 * 1024 * 1024);
  });
});

Deno.test("Audit lets the daemon go on when nothing can be written", async () => {
  const clock = { now: () => 0, sleep: () => Promise.resolve() };
  const audit = new Audit({ dir: "/nonexistent/bureau", clock, log });
  audit.record({ decision: "allow", actor: "@a:local", action: "observe" });
  await audit.settled();
});

Deno.test("the config room hears of what is sensitive, bounded, and of nothing else", () => {
  let now = 1_700_000_000_000.5;
  const clock = { now: () => now, sleep: () => Promise.resolve() };
  const sent: AuditEvent[] = [];
  const room = new AuditRoom({
    machine: "@m:s",
    clock,
    send: (type, content) => {
      assert.equal(type, "m.bureau.audit");
      sent.push(AuditEvent.parse(content));
    },
  });
  const entry: AuditEntry = { decision: "allow", actor: "@a:s", action: "observe", target: "@t:s" };
  const actions = (wanted: readonly string[]) => {
    sent.length = 0;
    for (const action of wanted) room.record({ ...entry, action });
    return sent.map(({ action }) => action);
  };
  assert.deepEqual(actions(["observe", "http/x", "matrix/read", "command/join"]), []);
  const loud = ["interrupt/terminate", "observe/read-write", "grant/approve/forward", "a fleet/x"];
  assert.deepEqual(actions(loud), loud);
  room.record({ ...entry, action: "interrupt", decision: "end" });
  assert.equal(sent.length, 4);
  for (let i = 0; i < 100; i++) {
    room.record({ ...entry, action: "interrupt", decision: "deny", reason: "x".repeat(2000) });
  }
  assert.equal(sent.length, 30);
  assert.equal(sent.at(-1)!.reason!.length, 512);
  now += 10_000;
  room.record({ ...entry, action: "interrupt" });
  assert.equal(sent.at(-1)!.suppressed, 74);
});
