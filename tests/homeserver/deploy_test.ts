// SPDX-License-Identifier: Apache-2.0

/** What lies in deploy/compose: its scripts, what compose.yaml must not lose, the configurations of reverse proxies. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { eventually, freePort, ROOT, run, skip } from "../e2e/harness.ts";
import { request } from "./http.ts";
import { openHomeserver } from "./provider.ts";

const DEPLOY = `${ROOT}/deploy/compose`;

async function inDirectory(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const setup = (...args: string[]) => run("sh", [`${DEPLOY}/setup.sh`, ...args]);
const user = `${Deno.uid()}:${Deno.gid()}`;

Deno.test("setup.sh makes secrets once and for their owner alone; names and addresses follow it", async () => {
  await inDirectory(async (parent) => {
    const dir = `${parent}/matrix`;
    const make = (...more: string[]) =>
      setup(dir, "synapse", "example.test", "--user", user, ...more);
    const first = await make();
    assert.equal(first.code, 0, first.stderr);
    const read = async () => {
      const secrets = new Map<string, string>();
      for await (const { name } of Deno.readDir(`${dir}/secrets`)) {
        const path = `${dir}/secrets/${name}`;
        assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600, path);
        secrets.set(name, await Deno.readTextFile(path));
      }
      return secrets;
    };
    const before = await read();
    assert.match(before.get("registration-token")!, /^[0-9a-f]{64}$/);
    assert.match(before.get("signing-key")!, /^ed25519 a_bureau [A-Za-z0-9+/]{43}\n$/);
    assert.ok(before.get("pgpass")!.trim().endsWith(before.get("postgres-password")!));
    const later = ["--url", "https://matrix.example.test", "--turn", "turn.example.test"];
    assert.match((await make(...later)).stderr, /^error: --turn needs --turn-address/);
    const second = await make(...later, "--turn-address", "203.0.113.7");
    assert.equal(second.code, 0, second.stderr);
    assert.deepEqual(await read(), before);
    const site = parse(await Deno.readTextFile(`${dir}/site/site.yaml`));
    assert.equal(site.public_baseurl, "https://matrix.example.test/");
    assert.equal(site.turn_uris.length, 2);
    const relay = await Deno.readTextFile(`${dir}/site/turnserver.conf`);
    assert.ok(relay.includes(`static-auth-secret=${before.get("turn-secret")}\n`));
    // Everybody who may look into it may know what stands there.
    const env = await Deno.readTextFile(`${dir}/.env`);
    for (const [name, secret] of before) assert.ok(!env.includes(secret.trim()), name);
    for (const path of [dir, `${dir}/secrets`, `${dir}/site`, `${dir}/data/synapse`]) {
      assert.equal((await Deno.stat(path)).mode! & 0o777, 0o700, path);
    }
    const renamed = await setup(dir, "synapse", "example.org");
    assert.equal(renamed.code, 1);
    assert.match(renamed.stderr, /is the homeserver of example\.test: choose another directory/);
  });
});

Deno.test("first-account.sh registers the administrator with the token of the log", async () => {
  await inDirectory(async (dir) => {
    await using server = await openHomeserver("embedded").then((found) => {
      if ("reason" in found) throw new Error(found.reason);
      return found;
    });
    await Deno.writeTextFile(`${dir}/password`, 'a "password" of an admin\n');
    const script = `exec sh "$0" "$1" root "$2/password" <"$2/log"`;
    const args = ["-c", script, `${DEPLOY}/first-account.sh`, server.url, dir];
    await Deno.writeTextFile(`${dir}/log`, "nothing of a token\n");
    const without = await run("sh", args);
    assert.equal(without.code, 1);
    assert.match(without.stderr, /^error: the log has no first token/);
    const bold = (text: string) => `\x1b[1m\x1b[32m${text}\x1b[0m`;
    await Deno.writeTextFile(
      `${dir}/log`,
      `Open your Matrix client of choice and register an account on ${bold("example.test")} ` +
        `using the registration token ${bold(server.registrationToken)} . Pick your own name!\n`,
    );
    const made = await run("sh", args);
    assert.equal(made.code, 0, made.stderr);
    assert.equal(made.stdout.trim(), `@root:${server.serverName}`);
    const login = await request(server.url, "POST", "login", {
      body: {
        type: "m.login.password",
        identifier: { type: "m.id.user", user: "root" },
        password: 'a "password" of an admin',
      },
    });
    assert.equal(login.status, 200, JSON.stringify(login.body));
  });
});

interface Service {
  image: string;
  user: string;
  read_only: boolean;
  cap_drop: string[];
  cap_add?: string[];
  security_opt: string[];
  logging: { options: Record<string, string> };
  ports?: string[];
  environment?: Record<string, string>;
  secrets?: string[];
  mem_limit: string;
  pids_limit: number;
}

Deno.test("every service of compose.yaml is pinned, confined, limited, and told secrets by files", async () => {
  const text = await Deno.readTextFile(`${DEPLOY}/compose.yaml`);
  const { services, secrets } = parse(text, { merge: true }) as {
    services: Record<string, Service>;
    secrets: Record<string, { file: string }>;
  };
  assert.deepEqual(Object.keys(services), ["continuwuity", "synapse", "postgres", "coturn"]);
  for (const [name, service] of Object.entries(services)) {
    assert.match(service.image, /:v?\d+\.\d+/, name);
    assert.match(service.user, /^\$\{HOMESERVER_USER:\?/, name);
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ["ALL"], name);
    assert.deepEqual(service.security_opt, ["no-new-privileges:true"], name);
    assert.ok(service.logging.options["max-size"], name);
    assert.ok(service.mem_limit && service.pids_limit, name);
    // A relay is for people outside; it says which address, and loopback where nobody did.
    const ports = name === "coturn" ? /^\$\{TURN_ADDRESS:-127\.0\.0\.1\}:/ : /^127\.0\.0\.1:/;
    for (const port of service.ports ?? []) assert.match(port, ports, name);
    for (const [variable, value] of Object.entries(service.environment ?? {})) {
      if (!/PASSWORD|TOKEN|SECRET|PGPASSFILE/.test(variable)) continue;
      assert.match(value, /^\/run\/secrets\//, `${name}: ${variable}`);
    }
  }
  await inDirectory(async (parent) => {
    const dir = `${parent}/matrix`;
    const turn = ["--turn", "turn.example.test", "--turn-address", "127.0.0.1"];
    // Where it is installed, Compose itself reads the whole, with the .env that was made.
    const compose = await run("docker", ["compose", "version"])
      .then(({ code }) => code === 0, () => false);
    for (const kind of ["synapse", "continuwuity"]) {
      const made = await setup(dir, kind, "example.test", "--user", user, ...turn);
      assert.equal(made.code, 0, made.stderr);
      if (!compose) continue;
      const read = await run("docker", ["compose", "config", "--quiet"], dir);
      assert.equal(read.code, 0, read.stderr);
    }
    const made = new Set<string>();
    for await (const { name } of Deno.readDir(`${dir}/secrets`)) made.add(name);
    assert.deepEqual(new Set(Object.keys(secrets)), made);
    for (const [, path] of text.matchAll(/\$\{HOMESERVER_DIR[^}]*\}(\/[\w/-]+):/g)) {
      assert.ok((await Deno.stat(`${dir}${path}`)).isDirectory, path);
    }
  });
});

Deno.test("nginx.conf: clients find the homeserver, names arrive as they were sent, administration stays inside", async (t) => {
  const nginx = "/usr/sbin/nginx";
  if (await Deno.stat(nginx).catch(() => null) === null) return await skip(t, "no nginx here");
  await inDirectory(async (dir) => {
    await using server = await openHomeserver("embedded").then((found) => {
      if ("reason" in found) throw new Error(found.reason);
      return found;
    });
    const port = freePort();
    const site = (await Deno.readTextFile(`${DEPLOY}/nginx.conf`))
      .replaceAll("listen 443 ssl", `listen 127.0.0.1:${port}`)
      .replaceAll(/^\s*ssl_certificate.*$/gm, "")
      .replace("http://127.0.0.1:6167", server.url);
    const own = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `${name}_temp_path ${dir}/${name};`).join(" ");
    await Deno.writeTextFile(
      `${dir}/nginx.conf`,
      `daemon off; pid ${dir}/pid; error_log ${dir}/log; events {}\nhttp { access_log off; ${own}\n${site} }`,
    );
    const child = new Deno.Command("setpriv", {
      args: ["--pdeathsig=KILL", nginx, "-c", `${dir}/nginx.conf`, "-e", `${dir}/log`],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      const ask = async (host: string, path: string) => {
        const { stdout } = await run("curl", [
          ...["--silent", "--header", `Host: ${host}`, "--write-out", "\n%{http_code}"],
          `http://127.0.0.1:${port}${path}`,
        ]);
        const at = stdout.lastIndexOf("\n");
        return { status: Number(stdout.slice(at)), body: stdout.slice(0, at) };
      };
      const known = await eventually("nginx answers", async () => {
        const found = await ask("example.org", "/.well-known/matrix/client");
        return found.status === 200 && found;
      }, 30_000);
      const url = "https://matrix.example.org";
      assert.deepEqual(JSON.parse(known.body), { "m.homeserver": { base_url: url } });
      const owner = await server.registerUser("owner");
      const alias = `a/b-${crypto.randomUUID()}`;
      const made = await request(server.url, "POST", "createRoom", {
        token: owner.token,
        body: { room_alias_name: alias },
      });
      assert.equal(made.status, 200, JSON.stringify(made.body));
      const path = `/_matrix/client/v3/directory/room/`;
      const name = encodeURIComponent(`#${alias}:${server.serverName}`);
      const found = await ask("matrix.example.org", `${path}${name}`);
      assert.equal(JSON.parse(found.body).room_id, made.body.room_id);
      const inside = await request(server.url, "GET", "/_synapse/admin/v1/register");
      assert.equal(inside.status, 200);
      const outside = await ask("matrix.example.org", "/_synapse/admin/v1/register");
      assert.equal(outside.status, 404);
      assert.ok(!outside.body.includes("nonce"));
    } finally {
      child.kill("SIGTERM");
      await child.status;
    }
  });
});
