// SPDX-License-Identifier: Apache-2.0

/**
 * `deno task compile`: what it makes, what it says where Deno's runtime is not to be had, and which of program and bundle
 * a unit runs. The runtime that Deno would download is stood in for by another program: what is put into it is looked at.
 */
import assert from "node:assert/strict";
import { denoArguments, parseGrants, type Role } from "../../src/lib/process/mod.ts";
import { ROOT, run } from "./harness.ts";

const PROGRAMS: readonly Role[] = ["daemon", "homeserver", "launcher", "web"];
const decoder = new TextDecoder();

async function withDir(act: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "b-co" });
  try {
    await act(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** What is compiled of a build, in a place of its own. */
async function copyOfBuild(dir: string): Promise<string> {
  await Deno.mkdir(`${dir}/runtime`, { recursive: true });
  for (
    const name of [
      ...PROGRAMS.map((role) => `${role}.js`),
      "gate_worker.js",
      "deno.json",
      "grants.txt",
    ]
  ) {
    await Deno.copyFile(`${ROOT}/dist/runtime/${name}`, `${dir}/runtime/${name}`);
  }
  return dir;
}

async function compile(dist: string, env: Record<string, string>) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", `${ROOT}/tasks/compile.ts`, dist],
    env,
    stdin: "null",
  }).output();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** The permissions that Deno wrote into a program, those that it has none of left out. */
function permissionsIn(program: string): Record<string, unknown> {
  const [text] = /\{"allow_env":[^}]*\}/.exec(program) ?? assert.fail("it holds no permissions");
  return Object.fromEntries(
    Object.entries(JSON.parse(text)).filter(([name, value]) =>
      name.startsWith("allow_") && value !== null &&
      !(Array.isArray(value) && name === "allow_import")
    ),
  );
}

/** What the same process has as a bundle: its set, and the grants of an installation. */
async function permissionsOf(role: Role, runtime: string): Promise<Record<string, unknown>> {
  const { permissions } = JSON.parse(await Deno.readTextFile(`${runtime}/deno.json`));
  const wanted: Record<string, unknown> = {};
  for (const [kind, value] of Object.entries(permissions[role])) {
    wanted[`allow_${kind}`] = value === true ? [] : value;
  }
  const grants = parseGrants(await Deno.readTextFile(`${runtime}/grants.txt`), {
    STATE: "/var/lib/bureau",
    RUN: "/run/bureau",
    RUNTIME: "/usr/lib/bureau",
    DENO: "/usr/lib/bureau/runtime/deno",
    LISTEN: "127.0.0.1:6167",
  });
  for (const word of denoArguments(role, runtime, grants)) {
    const [, kind, list] = /^--allow-(\w+)=(.*)$/.exec(word) ?? [];
    if (kind === undefined) continue;
    const given = wanted[`allow_${kind}`];
    wanted[`allow_${kind}`] = [...Array.isArray(given) ? given : [], ...list!.split(",")];
  }
  return wanted;
}

Deno.test("a compiled process holds the permissions of the bundle, and the same build gives the same file", async () => {
  await withDir(async (dir) => {
    // An ELF file, as the one that is meant.
    const env = { DENORT_BIN: "/usr/bin/true" };
    const dist = await copyOfBuild(dir);
    const first = await compile(dist, env);
    assert.equal(first.code, 0, first.stderr);
    const checked = await run("sh", [
      "-c",
      'cd "$1/bin" && sha256sum --strict --check SHA256SUMS',
      "sh",
      dist,
    ]);
    assert.equal(checked.code, 0, checked.stdout);
    const sums = await Deno.readTextFile(`${dist}/bin/SHA256SUMS`);
    assert.deepEqual(sums.trim().split("\n").map((line) => line.split("  ")[1]).sort(), PROGRAMS);
    for (const role of PROGRAMS) {
      const program = new TextDecoder("latin1").decode(await Deno.readFile(`${dist}/bin/${role}`));
      const sorted = (permissions: Record<string, unknown>) =>
        Object.fromEntries(
          Object.entries(permissions).sort().map((
            [kind, list],
          ) => [kind, Array.isArray(list) ? list.toSorted() : list]),
        );
      assert.deepEqual(
        sorted(permissionsIn(program)),
        sorted(await permissionsOf(role, `${dist}/runtime`)),
        role,
      );
    }
    assert.equal((await compile(dist, env)).code, 0);
    assert.equal(await Deno.readTextFile(`${dist}/bin/SHA256SUMS`), sums);
  });
});

Deno.test("where Deno's runtime is not to be had, compile says what to do, and leaves nothing", async () => {
  await withDir(async (dir) => {
    const dist = await copyOfBuild(dir);
    const { code, stderr } = await compile(dist, {
      // Nobody listens there, and nothing was downloaded before.
      HTTPS_PROXY: "http://127.0.0.1:9",
      DENO_DIR: `${dir}/cache`,
      DENORT_BIN: "",
    });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^error: Cannot compile "homeserver": the Deno runtime .* can't be downloaded/,
    );
    assert.match(stderr, /hint: .*DENORT_BIN.*`deno task bundle`/);
    assert.deepEqual(
      [...Deno.readDirSync(dist)].map(({ name }) => name).filter((name) => name !== "cache"),
      ["runtime"],
    );
  });
});

Deno.test("a unit runs the program where it is what its checksum says, and the bundle else", async () => {
  await withDir(async (dir) => {
    await Deno.mkdir(`${dir}/runtime`);
    await Deno.mkdir(`${dir}/bin`);
    await Deno.writeTextFile(`${dir}/runtime/grants.txt`, "");
    await Deno.writeTextFile(`${dir}/runtime/deno`, "#!/bin/sh\necho bundle $#\n", { mode: 0o755 });
    const role = async (more: Record<string, string> = {}) => {
      const { stdout, stderr } = await new Deno.Command(`${ROOT}/deploy/systemd/bureau-role`, {
        args: ["web"],
        clearEnv: true,
        env: { PATH: "/usr/bin:/bin", BUREAU_RUNTIME_DIR: `${dir}/runtime`, ...more },
        stdin: "null",
      }).output();
      return decoder.decode(stdout) + decoder.decode(stderr);
    };
    assert.match(await role(), /^bundle \d\d\n$/);
    const program = `${dir}/bin/web`;
    await Deno.writeTextFile(program, "#!/bin/sh\necho program $#\n", { mode: 0o755 });
    // Nothing vouches for it.
    assert.match(await role(), /^bundle \d\d\nwarning: ".*web" is not what ".*SHA256SUMS" says/);
    const seal = 'cd "$1" && sha256sum web >SHA256SUMS';
    await run("sh", ["-c", seal, "sh", `${dir}/bin`]);
    assert.equal(await role(), "program 0\n");
    // Its permissions are for the usual places.
    assert.match(await role({ BUREAU_RUN_DIR: "/run/other" }), /^bundle \d\d\n$/);
    await Deno.writeTextFile(program, "#!/bin/sh\necho another\n");
    assert.match(await role(), /^bundle \d\d\nwarning: /);
  });
});
