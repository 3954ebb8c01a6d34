// SPDX-License-Identifier: Apache-2.0

/** The scripts beside deploy/homeserver/compose.yaml, and what that file must not lose. */
import assert from "node:assert/strict";
import { ROOT, run } from "../e2e/harness.ts";
import { request } from "./http.ts";
import { openHomeserver } from "./provider.ts";

const DEPLOY = `${ROOT}/deploy/homeserver`;

async function inDirectory(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("secrets.sh makes secrets once, for its owner alone", async () => {
  await inDirectory(async (dir) => {
    const make = () => run("sh", [`${DEPLOY}/secrets.sh`, `${dir}/secrets`, "example.test"]);
    const first = await make();
    assert.equal(first.code, 0, first.stderr);
    const names = ["continuwuity.toml", "postgres-password", "registration-token"]
      .concat(["synapse-log.yaml", "synapse.yaml"]);
    const read = () =>
      Promise.all(names.map((name) => Deno.readTextFile(`${dir}/secrets/${name}`)));
    const before = await read();
    assert.equal((await make()).code, 0);
    assert.deepEqual(await read(), before);
    assert.equal((await Deno.stat(`${dir}/secrets`)).mode! & 0o777, 0o700);
    assert.match(before[2]!, /^[0-9a-f]{64}$/);
    assert.ok(before[0]!.includes(before[2]!), "Continuwuity has another token");
    assert.ok(before[4]!.includes(before[1]!), "Synapse has another password for Postgres");
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

Deno.test("the compose file pins its images and listens on loopback", async () => {
  const text = await Deno.readTextFile(`${DEPLOY}/compose.yaml`);
  for (const [, image] of text.matchAll(/image: (.*)/g)) assert.match(image!, /:v?\d+\.\d+/);
  for (const [, ports] of text.matchAll(/ports: (.*)/g)) assert.match(ports!, /^\["127\.0\.0\.1:/);
  assert.ok(!/(PASSWORD|TOKEN|SECRET): /.test(text), "a secret in the environment");
});
