// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import type { Clock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/log.ts";
import { type Ledger, LedgerFile, NEW_LEDGER, unused } from "./ledger.ts";
import { installRelease, releaseDigest, verifyRelease } from "./release.ts";
import { type Machine, upgrade } from "./upgrade.ts";
import { chooseRuntime } from "./choose.ts";

const log = createLogger("test", {}, () => {});
const NAMES = ["launcher", "homeserver", "daemon"];
const NEW = "n".repeat(64);

async function inDirectory(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "b-up" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Time that passes only by being waited for. */
function fakeClock(): Clock {
  let now = 1_000;
  return {
    now: () => now,
    sleep: (ms, signal) => {
      if (signal?.aborted) return Promise.reject(signal.reason);
      now += Math.max(1, ms);
      return Promise.resolve();
    },
  };
}

interface Faults {
  /** Can't be started from the new release. */
  readonly start?: string;
  /** Something is wrong as long as this one runs from the new release. */
  readonly ill?: string;
  /** Dies again and again, once this one runs from the new release. */
  readonly dies?: string;
  readonly successor?: boolean;
  /** Everything is to end once this one runs from the new release. */
  readonly stop?: string;
}

/** @returns where each process ran at the end, and what the ledger says */
async function tried(dir: string, faults: Faults): Promise<{ at: string[]; ledger: Ledger }> {
  const at = new Map(NAMES.map((name) => [name, "old"]));
  let deaths = 0;
  const stop = new AbortController();
  const machine: Machine = {
    names: () => NAMES,
    processes: () =>
      NAMES.map((name) => ({
        name,
        pid: 1,
        state: "running",
        restarts: at.get(name) === "new" && faults.dies === name ? ++deaths : 0,
        started_at: 0,
        message: null,
      })),
    replace: (name, into) => {
      if (into === "new" && faults.start === name) return Promise.reject(new Error("no start"));
      at.set(name, into);
      if (faults.stop === name) stop.abort(new Error("stopped"));
      return Promise.resolve();
    },
    ill: () =>
      Promise.resolve(faults.ill !== undefined && at.get(faults.ill) === "new" ? "is ill" : null),
    handOver: async () => {
      if (faults.successor === true) throw new Error("no successor");
      await file.change(() => ({ current: NEW, updating: null }));
    },
  };
  const file = new LedgerFile(dir);
  const what = { to: NEW, dir: "new", from: null, fromDir: "old", settleMs: 1_000, wellMs: 5_000 };
  const ledger = await upgrade(what, {
    machine,
    ledger: file,
    clock: fakeClock(),
    log,
    stop: stop.signal,
  });
  assert.deepEqual(await file.read(), ledger);
  return { at: NAMES.map((name) => at.get(name)!), ledger };
}

Deno.test("whatever fails, and at whichever process, all that ran before runs again, and the release is pinned", async () => {
  const faults: [Faults, RegExp][] = [
    ...NAMES.flatMap((name): [Faults, RegExp][] => [
      [{ start: name }, /no start/],
      [{ ill: name }, /is ill/],
      [{ dies: name }, new RegExp(`the ${name} ended`)],
    ]),
    [{ successor: true }, /no successor/],
  ];
  for (const [fault, why] of faults) {
    await inDirectory(async (dir) => {
      const { at, ledger } = await tried(dir, fault);
      assert.deepEqual(at, ["old", "old", "old"], JSON.stringify(fault));
      assert.match(ledger.bad[NEW]!.why, why);
      assert.deepEqual([ledger.updating, ledger.outcome?.ok], [null, false]);
    });
  }
  // Told to end, it waits for nothing and blames nobody; the next start reads how far it came.
  for (const [n, stop] of NAMES.entries()) {
    await inDirectory(async (dir) => {
      const { at, ledger } = await tried(dir, { stop, ill: "none" });
      assert.equal(at[n], "new");
      assert.deepEqual([ledger.bad, ledger.current, ledger.updating?.to], [{}, null, NEW]);
    });
  }
  // Control.
  await inDirectory(async (dir) => {
    const { at, ledger } = await tried(dir, {});
    assert.deepEqual(at, ["new", "new", "new"]);
    assert.deepEqual([ledger.current, ledger.bad], [NEW, {}]);
  });
});

Deno.test("a release is what its name says, of owners who may, or it is refused", async () => {
  await inDirectory(async (dir) => {
    const [root, from, known] = [`${dir}/releases`, `${dir}/from`, `${dir}/known`];
    for (const path of [root, from, known]) await Deno.mkdir(path);
    for (const path of [from, known]) await Deno.writeTextFile(`${path}/deno`, "program");
    await Deno.writeTextFile(`${from}/up.js`, "1");
    await Deno.writeTextFile(`${from}/.stamp`, "");
    const digest = await installRelease(root, from, known);
    assert.equal(await verifyRelease(root, digest), `${root}/${digest}`);
    assert.equal(await installRelease(root, from, known), digest);
    assert.equal(await releaseDigest(`${root}/${digest}`), digest);
    const file = `${root}/${digest}/up.js`;
    const spoil: [() => Promise<void>, () => Promise<void>][] = [
      [() => Deno.writeTextFile(file, "2"), () => Deno.writeTextFile(file, "1")],
      [() => Deno.chmod(file, 0o666), () => Deno.chmod(file, 0o644)],
      [() => Deno.chmod(root, 0o777), () => Deno.chmod(root, 0o755)],
      [() => Deno.writeTextFile(`${file}2`, "more"), () => Deno.remove(`${file}2`)],
      [() => Deno.symlink("/etc/passwd", `${file}2`), () => Deno.remove(`${file}2`)],
      [() => Deno.mkdir(`${file}2`), () => Deno.remove(`${file}2`)],
    ];
    if (Deno.uid() === 0) {
      spoil.push([() => Deno.chown(file, 12_345, null), () => Deno.chown(file, 0, null)]);
    }
    for (const [damage, mend] of spoil) {
      await damage();
      await assert.rejects(verifyRelease(root, digest), { code: "bad-release" });
      await mend();
      await verifyRelease(root, digest);
    }
    for (const name of ["../from", "", "..", `${digest}/`, digest.toUpperCase()]) {
      await assert.rejects(verifyRelease(root, name), { code: "bad-release" });
    }
    await assert.rejects(verifyRelease(root, "0".repeat(64)), { code: "no-release" });
    assert.deepEqual([...Deno.readDirSync(root)].map(({ name }) => name), [digest]);
  });
});

Deno.test("a start after an upgrade that was cut short, or of a build that failed, is of what was proven", async () => {
  await inDirectory(async (dir) => {
    const paths = { runtime: `${dir}/runtime`, releases: `${dir}/releases` };
    for (const path of [paths.runtime, paths.releases, `${dir}/dist/runtime`]) {
      await Deno.mkdir(path, { recursive: true });
    }
    await Deno.writeTextFile(`${dir}/dist/runtime/grants.txt`, "new");
    await Deno.writeTextFile(`${paths.runtime}/grants.txt`, "old");
    const notes: string[] = [];
    const choose = () => chooseRuntime(paths, `${dir}/dist`, (note) => notes.push(note));
    const file = new LedgerFile(paths.releases);
    const install = { dir: paths.runtime, install: true };
    assert.deepEqual([await choose(), notes], [install, []]);
    const to = await installRelease(paths.releases, `${dir}/dist/runtime`, paths.runtime);
    await file.change(() => ({ updating: { to, from: null, step: "daemon", at: 1 } }));
    assert.deepEqual(await choose(), { dir: paths.runtime, install: false });
    assert.match(notes.pop()!, /cut short while the daemon/);
    assert.equal((await file.read()).updating, null);
    // It is told once; the person may start what they like.
    assert.deepEqual([await choose(), notes], [install, []]);
    await file.change(() => ({ bad: { [to]: { why: "it fell over", at: 1 } } }));
    assert.deepEqual(await choose(), { dir: paths.runtime, install: false });
    assert.match(notes.pop()!, /it fell over/);
    // A ledger that was cut off costs a memory, not the start.
    await Deno.writeTextFile(`${paths.releases}/ledger.json`, '{"version":1,');
    assert.deepEqual([await choose(), notes], [install, []]);
  });
});

Deno.test("a release goes when nothing that was started from it runs any more", () => {
  const ledger: Ledger = {
    ...NEW_LEDGER,
    current: "d",
    previous: "c",
    bad: { x: { why: "", at: 1 } },
    history: [
      { digest: null, since: 0 },
      { digest: "a", since: 10 },
      { digest: "b", since: 20 },
      { digest: "c", since: 30 },
      { digest: "d", since: 40 },
    ],
  };
  assert.deepEqual(unused(ledger, []), ["a", "b", "x"]);
  assert.deepEqual(unused(ledger, [15, 45]), ["b", "x"]);
  assert.deepEqual(unused(ledger, [5, 29]), ["a", "x"]);
});
