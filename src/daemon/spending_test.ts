// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { systemClock } from "../lib/clock.ts";
import { createLogger } from "../lib/log.ts";
import { Spending, type SpendingOptions } from "./spending.ts";

const WHO = "bureau/fleet/dev/agent/a";

async function withDir(body: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-spend" });
  try {
    await body(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function spendingIn(dir: string, change: Partial<SpendingOptions> = {}): Spending {
  return new Spending({
    stateDir: dir,
    // What is late is written at the close.
    clock: { ...systemClock, sleep: () => new Promise(() => {}) },
    log: createLogger("test", {}, () => {}),
    onReached: () => {},
    ...change,
  });
}

const usage = (model: string, cost = 1) => ({
  model,
  input: 10,
  output: 5,
  cacheRead: 2,
  cacheWrite: 1,
  cost,
  priced: true,
  estimated: false,
});

Deno.test("what was spent is known to the next daemon; a new run begins at nothing", async () => {
  await withDir(async (dir) => {
    const first = spendingIn(dir);
    const account = await first.of(WHO);
    account.follow(1_000);
    account.add(usage("m"));
    account.add(usage("m"));
    await first.close();

    const second = await spendingIn(dir).of(WHO);
    assert.deepEqual(second.sum("run"), { input: 26, output: 10, cost: 2 });
    second.follow(1_000);
    assert.deepEqual(second.sum("run"), { input: 26, output: 10, cost: 2 });
    second.follow(2_000);
    assert.deepEqual(second.sum("run"), { input: 0, output: 0, cost: 0 });
    assert.deepEqual(second.sum("day"), { input: 26, output: 10, cost: 2 });
    const [model] = second.report().models;
    assert.deepEqual([model!.model, model!.requests, model!.cache_read], ["m", 2, 4]);
    assert.equal((await Deno.stat(`${dir}/spending`)).mode! & 0o777, 0o700);
  });
});

Deno.test("the hour and the day go by; a cap that is reached is told once", async () => {
  await withDir(async (dir) => {
    let now = Date.UTC(2026, 0, 1);
    const reached: string[] = [];
    const spending = spendingIn(dir, {
      clock: { now: () => now, sleep: () => new Promise(() => {}) },
      onReached: (who, rule, shown) => reached.push(`${who} ${rule} ${shown}`),
    });
    const account = await spending.of(WHO);
    account.setBudgets({ hour: { cost_usd: 2 }, day: { tokens: 1_000 } });
    for (let count = 0; count < 3; count++) account.add(usage("m"));
    assert.deepEqual(reached, [`${WHO} budgets.hour.cost_usd $2`]);
    now += 60 * 60_000;
    assert.equal(account.sum("hour").cost, 0);
    assert.equal(account.sum("day").cost, 3);
    now += 24 * 60 * 60_000;
    account.add(usage("m"));
    assert.equal(account.sum("day").cost, 1);
    assert.equal(account.state(0).spent.minutes.length, 1);
  });
});

Deno.test("a damaged file is put aside and told of; models that an upstream makes up stay few", async () => {
  await withDir(async (dir) => {
    const first = spendingIn(dir);
    for (let n = 0; n < 300; n++) (await first.of(WHO)).add(usage(`made-up-${n}`));
    await (await first.of(WHO)).save();
    assert.equal((await first.of(WHO)).report().models.length, 101);
    const [file] = [...Deno.readDirSync(`${dir}/spending`)];
    await Deno.writeTextFile(`${dir}/spending/${file!.name}`, "{");
    const log: string[] = [];
    const logger = createLogger("test", {}, (line) => log.push(line));
    const second = await spendingIn(dir, { log: logger }).of(WHO);
    assert.equal(second.sum("day").cost, 0);
    assert.match(log.join(), /can't be read/);
    assert.ok(
      [...Deno.readDirSync(`${dir}/spending`)].some(({ name }) => name.endsWith("damaged")),
    );
  });
});

Deno.test("a file that the disk does not give back costs nobody the daemon", async () => {
  await withDir(async (dir) => {
    const first = spendingIn(dir);
    (await first.of(WHO)).add(usage("m"));
    await first.close();
    const [file] = [...Deno.readDirSync(`${dir}/spending`)];
    const path = `${dir}/spending/${file!.name}`;
    // Reading a directory fails for root too.
    await Deno.remove(path);
    await Deno.mkdir(path);
    const log: string[] = [];
    const logger = createLogger("test", {}, (line) => log.push(line));
    const second = spendingIn(dir, { log: logger });
    const account = await second.of(WHO);
    assert.match(log.join(), /can't be read/);
    account.add(usage("m"));
    await second.close();
    assert.equal((await spendingIn(dir).of(WHO)).sum("day").cost, 1);
  });
});
