// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createLogger } from "../../lib/log.ts";
import { generateSigningKey, signContent } from "../../lib/signature/mod.ts";
import { HandClock } from "../../lib/testing/hand_clock.ts";
import type { UpgradeRequest } from "../api.ts";
import { SupervisorError } from "../errors.ts";
import { AskedUpgrades } from "./asked.ts";
import { type Ledger, LedgerFile, NEW_LEDGER } from "./ledger.ts";

const MACHINE = "@f/fleet/a/machine/m:s";
const TO = "a".repeat(64);

async function scene() {
  const dir = await Deno.makeTempDir({ prefix: "b-as" });
  const key = await generateSigningKey();
  await Deno.writeTextFile(
    `${dir}/policy.json`,
    JSON.stringify({ operator_keys: [key.publicKey] }),
  );
  const begun: UpgradeRequest[] = [];
  const it = {
    ledger: NEW_LEDGER as Ledger,
    isBusy: false,
    fails: null as Error | null,
    runsAlready: false,
    begun,
    remember: (asked: Ledger["asked"]) => {
      it.ledger = { ...it.ledger, asked };
      return Promise.resolve();
    },
    begin: (request: UpgradeRequest) => {
      if (it.fails !== null) return Promise.reject(it.fails);
      begun.push(request);
      it.isBusy = !it.runsAlready;
      return Promise.resolve({ to: TO, from: null, begun: !it.runsAlready });
    },
  };
  const asked = new AskedUpgrades({
    daemonSocket: "/nowhere",
    token: "t",
    policyPath: `${dir}/policy.json`,
    machine: () => MACHINE,
    upgrader: it,
    clock: new HandClock(),
    log: createLogger("test", {}, () => {}),
  });
  const wish = (issued_at: number, more: object = {}, by = key) =>
    signContent({
      version: 1,
      machine: MACHINE,
      release: TO,
      issued_by: "@o:s",
      issued_at,
      ...more,
    }, by);
  return {
    it,
    asked,
    wish,
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

Deno.test("what an operator signed for this machine is begun once, and its end is reported", async () => {
  await using s = await scene();
  const { it, asked, wish } = s;
  assert.deepEqual(asked.report(), { seen: null, asked: null });
  await asked.consider(await wish(5, { settle_seconds: 1, again: true, later: "field" }));
  assert.deepEqual(it.begun, [{ release: TO, again: true, settle_s: 1, deadline_s: 60 }]);
  const state = () => asked.report().asked!.state;
  assert.equal(state(), "running");
  it.ledger = { ...it.ledger, updating: { to: TO, from: null, step: "launcher", at: 1 } };
  assert.equal(asked.report().asked!.step, "launcher");
  const { at } = it.ledger.asked!;
  for (const ok of [true, false]) {
    it.ledger = { ...it.ledger, updating: null, outcome: { to: TO, ok, message: "m", at } };
    assert.equal(state(), ok ? "done" : "failed");
  }
  // Once: whatever else went on since.
  it.isBusy = false;
  await asked.consider(await wish(5));
  await asked.consider(await wish(4));
  assert.equal(it.begun.length, 1);
  // An end of an earlier upgrade to the same release is none of this one.
  it.ledger = { ...it.ledger, outcome: { to: TO, ok: true, message: "m", at: at - 1 } };
  await asked.consider(await wish(6));
  assert.equal(state(), "running");
  it.isBusy = false;
  assert.match(asked.report().asked!.message!, /cut short/);
});

Deno.test("what is not signed, changed, another machine's or old is told, and hides nothing", async () => {
  await using s = await scene();
  const { it, asked, wish } = s;
  const good = await wish(5);
  const { signature: _, ...unsigned } = good;
  for (
    const [content, why] of [
      [await wish(9, {}, await generateSigningKey()), /unknown key/],
      [{ ...good, release: "b".repeat(64) }, /does not match/],
      [{ ...good, more: 1 }, /does not match/],
      [await wish(9, { machine: "@f/fleet/a/machine/x:s" }), /is for "@f/],
    ] as const
  ) {
    await asked.consider(content);
    const { seen, asked: told } = asked.report();
    assert.equal(seen, (content as { issued_at: number }).issued_at);
    assert.deepEqual([told!.state, it.begun.length, it.ledger.asked], ["refused", 0, undefined]);
    assert.match(told!.message!, why);
  }
  await asked.consider(unsigned);
  assert.equal(it.begun.length, 0);
  await asked.consider(good);
  assert.equal(it.begun.length, 1);
});

Deno.test("a release that is refused is remembered; one that can't begin now is asked again", async () => {
  await using s = await scene();
  const { it, asked, wish } = s;
  it.isBusy = true;
  await asked.consider(await wish(1));
  assert.deepEqual(asked.report(), { seen: null, asked: null });
  it.isBusy = false;
  it.fails = new SupervisorError("upgrading", "not ready");
  await asked.consider(await wish(1));
  assert.deepEqual(asked.report(), { seen: null, asked: null });
  it.fails = new SupervisorError("no-release", "Cannot find it");
  await asked.consider(await wish(1));
  assert.deepEqual(asked.report().asked, {
    issued_at: 1,
    to: TO,
    step: null,
    state: "refused",
    message: "Cannot find it",
  });
  it.fails = null;
  it.runsAlready = true;
  await asked.consider(await wish(2));
  assert.deepEqual([asked.report().asked!.state, asked.report().asked!.message], [
    "done",
    "it runs already",
  ]);
});

Deno.test("the ledger loses nothing of two that write at once", async () => {
  const dir = await Deno.makeTempDir({ prefix: "b-as" });
  try {
    const file = new LedgerFile(dir);
    await Promise.all(
      Array.from(
        { length: 20 },
        (_, n) => file.change(({ bad }) => ({ bad: { ...bad, [`r${n}`]: { why: "", at: n } } })),
      ),
    );
    assert.equal(Object.keys((await file.read()).bad).length, 20);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
