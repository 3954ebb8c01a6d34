// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Database } from "./database.ts";

async function withDatabase(test: (db: Database, path: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const db = new Database(`${directory}/homeserver.db`);
  try {
    await test(db, `${directory}/homeserver.db`);
  } finally {
    db.close();
    await Deno.remove(directory, { recursive: true });
  }
}

const alias = (db: Database, name: string) => () => {
  const so = db.next();
  db.run("INSERT INTO aliases VALUES (?, 'r', 'c')", name);
  return so;
};

Deno.test("Database.write() undoes only the job that throws", () =>
  withDatabase(async (db) => {
    const results = await Promise.allSettled([
      db.write(alias(db, "a")),
      db.write(() => {
        alias(db, "b")();
        throw new Error("no");
      }),
      db.write(alias(db, "a")),
      db.write(alias(db, "c")),
    ]);
    assert.deepEqual(results.map((result) => result.status), [
      "fulfilled",
      "rejected",
      "rejected",
      "fulfilled",
    ]);
    assert.deepEqual(db.all("SELECT alias FROM aliases").map((row) => row["alias"]), ["a", "c"]);
  }));

Deno.test("Database.afterCommit() runs for what was committed only", () =>
  withDatabase(async (db) => {
    const effects: string[] = [];
    const job = (name: string, fails: boolean) =>
      db.write(() => {
        db.afterCommit(() => effects.push(name));
        if (fails) throw new Error("no");
      }).catch(() => {});
    await Promise.all([job("a", false), job("b", true), job("c", false)]);
    assert.deepEqual(effects, ["a", "c"]);
  }));

Deno.test("Database.position never goes back over a restart", () =>
  withDatabase(async (db, path) => {
    const last = await db.write(() => db.next() + db.next() - db.position);
    await db.write(() => db.run("DELETE FROM aliases"));
    const other = new Database(path);
    assert.equal(other.position, db.position);
    assert.ok(other.position >= last);
    assert.equal(other.epoch, db.epoch);
    other.close();
  }));

Deno.test("Database.write() answers 507 on a full disk, keeps reading, and recovers", () =>
  withDatabase(async (db) => {
    await db.write(alias(db, "before"));
    const before = db.position;
    const pages = Number(db.get("PRAGMA page_count")!["page_count"]);
    db.get(`PRAGMA max_page_count = ${pages}`);
    const big = (name: string) => db.write(alias(db, name.repeat(50_000)));
    const results = await Promise.allSettled([big("x"), big("y"), db.write(alias(db, "small"))]);
    for (const result of results) {
      assert.equal(result.status, "rejected");
      assert.equal(result.reason.status, 507);
      assert.equal(result.reason.code, "M_LIMIT_EXCEEDED");
    }
    assert.equal(db.position, before);
    assert.equal(db.all("SELECT alias FROM aliases").length, 1);
    db.get("PRAGMA max_page_count = 100000");
    assert.equal(await big("x"), before + 1);
  }));

Deno.test("Database() refuses a database of a later release", () =>
  withDatabase((db, path) => {
    db.run("PRAGMA user_version = 999");
    assert.throws(() => new Database(path), { code: "newer-database" });
    return Promise.resolve();
  }));
