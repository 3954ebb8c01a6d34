// SPDX-License-Identifier: Apache-2.0

/**
 * flake.nix and deploy/nix as far as Nix alone goes: they parse, deno.lock pins the package, and the module sets what
 * deploy/systemd says. tests/slow/environment_test.ts builds the package.
 */
import assert from "node:assert/strict";
import { lacks, skip } from "../../src/lib/testing/skip.ts";
import { ROOT, run } from "./harness.ts";

const NIX = "/usr/bin/nix-instantiate";
const DEPLOY = `${ROOT}/deploy`;

/** Without a store: nothing is built or written. */
async function evaluate<T>(expression: string, ...args: string[]): Promise<T> {
  const words = ["--store", "dummy://", "--eval", "--strict", "--json", ...args];
  const { code, stdout, stderr } = await run(NIX, [...words, "--expr", expression]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as T;
}

/** Name and description of each user that sysusers.conf makes. */
async function sysusers(): Promise<Record<string, string>> {
  const text = await Deno.readTextFile(`${DEPLOY}/systemd/sysusers.conf`);
  return Object.fromEntries(
    [...text.matchAll(/^u (\S+) - "([^"]*)"/gm)].map((
      [, name, description],
    ) => [name, description]),
  );
}

Deno.test("every Nix file parses", async (t) => {
  if (await lacks(t, NIX, "nix-bin")) return;
  const files = [`${ROOT}/flake.nix`];
  for await (const { name } of Deno.readDir(`${DEPLOY}/nix`)) {
    if (name.endsWith(".nix")) files.push(`${DEPLOY}/nix/${name}`);
  }
  assert.ok(files.length > 5);
  const parse = (...args: string[]) => run(NIX, ["--store", "dummy://", "--parse", ...args]);
  const all = await parse(...files);
  assert.equal(all.code, 0, all.stderr);
  assert.notEqual((await parse("--expr", "{ a = ; }")).code, 0, "control: what doesn't parse");
});

Deno.test("the package's npm is what deno.lock pins, hash for hash, and its users are those of the units", async (t) => {
  if (await lacks(t, NIX, "nix-bin")) return;
  const lock = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.lock`)) as {
    npm: Record<string, { integrity: string }>;
  };
  const npm = await evaluate<{ name: string; version: string; url: string; hash: string }[]>(
    `import ${DEPLOY}/nix/npm.nix (builtins.fromJSON (builtins.readFile ${ROOT}/deno.lock))`,
  );
  const pinned = new Map(npm.map(({ name, version, hash }) => [`${name}@${version}`, hash]));
  for (const [key, { integrity }] of Object.entries(lock.npm)) {
    assert.equal(pinned.get(key.replace(/_.*$/, "")), integrity, key);
  }
  assert.deepEqual(
    npm.find(({ name }) => name === "@hono/node-server")?.url.replace(/[0-9.]+\.tgz$/, "V.tgz"),
    "https://registry.npmjs.org/@hono/node-server/-/node-server-V.tgz",
  );
  assert.deepEqual(await evaluate(`import ${DEPLOY}/nix/users.nix`), await sysusers());
});

interface Module {
  readonly wrong: string[];
  readonly users: Record<string, { group: string; isSystemUser: boolean }>;
  readonly services: Record<
    string,
    { wantedBy?: string[]; serviceConfig: Record<string, unknown> }
  >;
  readonly timers: Record<string, { wantedBy: string[] }>;
  readonly packages: string[];
  readonly etc: Record<string, { text: string }>;
}

const SETTINGS = {
  enable: true,
  machine: "@bureau/fleet/dev/machine/desk:example.org",
  serverName: "example.org",
};

Deno.test("the NixOS module starts the units of deploy/systemd as they are", async (t) => {
  if (await lacks(t, NIX, "nix-bin")) return;
  const lib = Deno.env.get("BUREAU_NIXPKGS_LIB");
  if (lib === undefined) return await skip(t, "BUREAU_NIXPKGS_LIB names no lib of nixpkgs");
  const module = (settings: unknown) =>
    evaluate<Module>(
      `import ${ROOT}/tests/e2e/nix_module.nix { lib = ${lib}; settings = ''${
        JSON.stringify(settings)
      }''; }`,
    );
  const plain = await module(SETTINGS);
  assert.deepEqual(plain.wrong, []);
  assert.deepEqual(plain.packages, ["/nix/store/bureau"]);
  assert.deepEqual(Object.keys(plain.users), Object.keys(await sysusers()).sort());
  assert.ok(Object.values(plain.users).every((one) => one.isSystemUser && one.group === "bureau"));
  assert.deepEqual(Object.keys(plain.services), [
    ...["bureau-daemon", "bureau-launcher", "bureau-web"],
  ]);
  assert.match(
    plain.etc["bureau/bureau.env"]!.text,
    /^BUREAU_MACHINE=@bureau\/.*\nBUREAU_SERVER_NAME=example\.org$/m,
  );

  const whole = await module({
    ...SETTINGS,
    homeserver: { enable: true },
    settingsFile: "/etc/bureau/daemon.json",
  });
  for (const [name, { wantedBy = [], serviceConfig }] of Object.entries(whole.services)) {
    const unit = await Deno.readTextFile(`${DEPLOY}/systemd/${name}.service`);
    assert.deepEqual(serviceConfig["BindReadOnlyPaths"], ["/nix/store/usr:/usr"], name);
    assert.deepEqual(wantedBy, /^WantedBy=(.*)$/m.exec(unit)?.slice(1) ?? [], name);
    // All else is the unit's own: nothing is said twice, but where a secret lies.
    const { BindReadOnlyPaths: _, StandardInput, LoadCredential, ...rest } = serviceConfig;
    assert.deepEqual(rest, {}, name);
    if (name !== "bureau-daemon") continue;
    const dropIn = await Deno.readTextFile(`${DEPLOY}/systemd/${name}.service.d/settings.conf`);
    assert.ok(
      unit.includes(`StandardInput=${StandardInput}\n`),
      "by default where the unit has it",
    );
    assert.ok(dropIn.includes(`LoadCredential=${LoadCredential}\n`));
  }
  const units = [...Deno.readDirSync(`${DEPLOY}/systemd`)].map(({ name }) => name);
  assert.deepEqual(
    [
      ...Object.keys(whole.services).map((name) => `${name}.service`),
      ...Object.keys(whole.timers).map((name) => `${name}.timer`),
    ].sort(),
    units.filter((name) => /\.(service|timer)$/.test(name)).sort(),
  );

  const other = await module({ ...SETTINGS, serverName: "other.org" });
  assert.match(other.wrong.join(), /ends with ":other\.org"/);
  const stored = await module({ ...SETTINGS, sessionFile: "/nix/store/x/session.json" });
  assert.match(stored.wrong.join(), /outside of the store/);
  for (
    const bad of [{ machine: "desk" }, { serverName: "a\nb" }, {
      homeserver: { listen: "0.0.0.0:1" },
    }]
  ) {
    await assert.rejects(module({ ...SETTINGS, ...bad }), /is not of type/, JSON.stringify(bad));
  }
});
