// SPDX-License-Identifier: Apache-2.0

/** `bureau sandbox check`: in a fresh sandbox by the command, and beside a live agent by a launcher's mode. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { localpart, withLauncher } from "../../src/launcher/testing/harness.ts";
import type { CheckReport } from "../../src/launcher/api.ts";
import { denoArguments, parseGrants } from "../../src/lib/process/mod.ts";
import { probes } from "../../src/sandbox/probes/mod.ts";
import { ROOT } from "../e2e/harness.ts";
import { KNOWN_OPEN } from "./open.ts";
import { unreachable } from "./reach.ts";
import { assertHeld } from "./verdicts.ts";

const decoder = new TextDecoder();

Deno.test("sandbox check tries every probe in a fresh sandbox and tells of each", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-chk" });
  const check = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command("sh", {
      args: [`${ROOT}/tasks/bureau`, "sandbox", "check", ...args],
      cwd: dir,
      env: {
        BUREAU_STATE_DIR: `${dir}/s`,
        BUREAU_RUN_DIR: `${dir}/r`,
        BUREAU_DENO: Deno.execPath(),
        TMPDIR: dir,
      },
      stdin: "null",
    }).output();
    return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
  };
  await Deno.chmod(dir, 0o711);
  const json = await check("--json");
  const report: CheckReport = JSON.parse(json.out);
  assert.equal(report.principal, null);
  assert.deepEqual(report.results.map(({ id }) => id), probes.map(({ id }) => id));
  assertHeld("in a fresh sandbox", report.results);
  const open = report.results.some(({ verdict }) => verdict === "breached");
  assert.equal(open, KNOWN_OPEN.length > 0);
  assert.equal(json.code, open ? 1 : 0);
  const text = await check();
  for (const { id } of probes) assert.match(text.out, new RegExp(`^${id} `, "m"));
  assert.match(text.out, /^\d+ held, \d+ breached, \d+ not tried here, 0 failed$/m);
  assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), [], "its scratch is gone");
  await Deno.remove(dir, { recursive: true });
});

Deno.test("sandbox check beside a live agent finds what is wrong with its sandbox, and disturbs nothing", async () => {
  await withLauncher(async (bed) => {
    const template = await bed.template("watched", "touch started; exec sleep 1000");
    await bed.create("watched", await bed.request("watched", { template }));
    await bed.read("watched", "started");
    const check = async (name: string) => {
      const grants = parseGrants(await Deno.readTextFile(`${ROOT}/tasks/grants.txt`), {
        STATE: `${bed.dir}/state`,
        RUN: bed.dir,
        RUNTIME: bed.runtime,
        DENO: `${bed.runtime}/deno`,
      });
      const { uid, gid } = await Deno.stat(`${bed.dir}/p`);
      const process = new Deno.Command(`${bed.runtime}/deno`, {
        args: denoArguments("launcher", bed.runtime, grants),
        cwd: bed.runtime,
        clearEnv: true,
        env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", DENO_DIR: "/dev/null/none" },
        ...(Deno.uid() === 0 ? { uid: uid!, gid: gid! } : {}),
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const writer = process.stdin.getWriter();
      await writer.write(new TextEncoder().encode(JSON.stringify({
        ...bed.bootstrap(),
        mode: "check",
        sandbox: {
          template: {},
          binds: [],
          command: [],
          terminal: true,
          principal: localpart(name),
        },
      })));
      await writer.close();
      const { code, stdout, stderr } = await process.output();
      return { code, out: decoder.decode(stdout), err: decoder.decode(stderr) };
    };
    const done = await check("watched");
    assert.equal(done.code, 0, done.err);
    const report: CheckReport = JSON.parse(done.out);
    assert.equal(report.principal, localpart("watched"));
    assertHeld("beside a live agent", report.results);
    const bomb = report.results.find(({ id }) => id === "fork-bomb")!;
    assert.equal(bomb.verdict, "not-applicable");
    assert.equal((await bed.show("watched")).phase, "running");
    const cell = await bed.cell("watched");
    for (const dir of ["cell", "tmux"]) {
      const names = [...Deno.readDirSync(`${cell}/${dir}`)].map(({ name }) => name);
      assert.deepEqual(names.filter((name) => name.startsWith("check-")), []);
    }
    const absent = await check("nobody");
    assert.equal(absent.code, 125);
    assert.match(absent.err, /does not run here/);
  });
});
