// SPDX-License-Identifier: Apache-2.0

/** Other credentials for a principal that runs: its proxy takes them, or another sandbox is asked for. */
import assert from "node:assert/strict";
import { publicKeyLine } from "../lib/ssh/mod.ts";
import { withAccount } from "../lib/testing/account.ts";
import { lacks } from "../lib/testing/skip.ts";
import { type Bed, bundleFor, eventually, localpart, withLauncher } from "./testing/harness.ts";

const HOSTS = ["api.example:443"];

async function status(bed: Bed, name: string) {
  const { principals } = await bed.launcher.client.call("list");
  return principals.find(({ principal }) => principal === localpart(name))!;
}

Deno.test("create() with other credentials alone reaches the proxy that runs, and the sandbox stays", async () => {
  await withLauncher(async (bed) => {
    const template = await bed.template("keeps", "exec sleep 1000", {
      proxy_services: { api: { upstream: "https://api.example", inject_headers: { k: "KEY" } } },
    });
    const ask = async (value: string, hosts = HOSTS) =>
      await bed.request("keeps", {
        template,
        bundle: bundleFor("keeps", { KEY: { value, allowed_hosts: hosts } }),
      });
    const first = await ask("one");
    await bed.create("keeps", first);
    const before = await status(bed, "keeps");
    const second = { ...await ask("two"), assignment: first.assignment };
    await bed.create("keeps", second);
    const after = await status(bed, "keeps");
    assert.notEqual(after.credentials_digest, before.credentials_digest);
    assert.deepEqual(
      [after.phase, after.started_at, after.proxy],
      ["running", before.started_at, before.proxy],
    );
    // Asked again, it is so already.
    await bed.create("keeps", second);
    assert.equal((await status(bed, "keeps")).revision, after.revision);

    // Refused ones change nothing here: what then becomes of the sandbox is the daemon's to say.
    const elsewhere = {
      ...await ask("three", ["other.example:443"]),
      assignment: first.assignment,
    };
    await assert.rejects(bed.create("keeps", elsewhere), { code: "host-not-allowed" });
    assert.equal((await status(bed, "keeps")).credentials_digest, after.credentials_digest);

    // Whoever adopts the sandbox has the last ones, and exits are still those of this run.
    await bed.end("SIGKILL");
    await bed.start();
    const adopted = await status(bed, "keeps");
    assert.ok(adopted !== undefined, bed.launcher.log.join("\n"));
    assert.deepEqual(
      [adopted.phase, adopted.started_at, adopted.credentials_digest],
      ["running", before.started_at, after.credentials_digest],
    );
    await eventually("its proxy is back", async () => (await status(bed, "keeps")).proxy.ready);
  });
});

Deno.test("credentials that change what the sandbox holds need another sandbox", async (t) => {
  if (await lacks(t, "/usr/bin/ssh-keygen", "openssh-client")) return;
  await withLauncher(async (bed) => {
    const template = {
      ...await bed.template("hosts", "exec sleep 1000"),
      ssh_keys: { deploy: { credential: "key", signs: ["git"] } },
    };
    const words = ["-q", "-t", "ed25519", "-N", "", "-f", `${bed.dir}/key`];
    const { command, args } = await withAccount("/usr/bin/ssh-keygen", words);
    await new Deno.Command(command, { args, env: { HOME: bed.dir } }).output();
    const value = await Deno.readTextFile(`${bed.dir}/key`);
    const host = publicKeyLine(value);
    const ask = async (names: string[]) =>
      await bed.request("hosts", {
        template,
        bundle: bundleFor("hosts", {
          key: {
            value,
            allowed_hosts: names.map((name) => `${name}:22`),
            known_hosts: names.map((name) => `${name} ${host}\n`).join(""),
          },
        }),
      });
    const { assignment, ...first } = await ask(["git.example"]);
    await bed.create("hosts", { ...first, assignment });
    // Its known_hosts file is in the sandbox's contract.
    const more = { ...await ask(["git.example", "git2.example"]), assignment };
    await assert.rejects(bed.create("hosts", more), { code: "running", status: 409 });
  });
});
