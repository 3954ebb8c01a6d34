// SPDX-License-Identifier: Apache-2.0

/** What the launcher refuses, each with its code, and that nothing is left of it. */
import assert from "node:assert/strict";
import { skip } from "../lib/testing/skip.ts";
import { generateSigningKey } from "../lib/signature/mod.ts";
import { type Asked, bundleFor, localpart, SERVER, withLauncher } from "./testing/harness.ts";

Deno.test("create() refuses, with a code that says why, what is not in order", async () => {
  await withLauncher(async (bed) => {
    const good = await bed.template("x", "exec sleep 1000");
    const service = (upstream: string) => ({
      ...good,
      proxy_services: { api: { upstream, inject_headers: { "x-api-key": "KEY" } } },
    });
    const bind = (source: string) => ({ ...good, filesystem: [{ source, dest: "/data" }] });
    const bundle = bundleFor("x", { KEY: { value: "v", allowed_hosts: ["api.test:443"] } });
    await Deno.symlink("/etc", `${bed.dir}/state/agents/link`);
    const cases: [string, Asked][] = [
      ["bad-signature", { key: await generateSigningKey() }],
      ["wrong-machine", { assignment: { machine: `@bureau/fleet/dev/machine/other:${SERVER}` } }],
      ["wrong-principal", { assignment: { principal: `@${localpart("y")}:${SERVER}` } }],
      ["not-running", { assignment: { desired: "stopped" } }],
      ["template-changed", { assignment: { template_digest: "0".repeat(64) } }],
      ["foreign-bundle", { bundle: bundleFor("y") }],
      ["missing-credential", { template: { ...good, required_credentials: ["KEY"] } }],
      ["missing-credential", { template: service("https://api.test") }],
      ["host-not-allowed", { template: service("https://evil.test"), bundle }],
      ["plain-http", { template: service("http://api.test"), bundle }],
      ["outside-bind-roots", { template: bind("/etc") }],
      ["outside-bind-roots", { template: bind(`${bed.dir}/state/agents-not`) }],
      ["bad-path", { template: bind(`${bed.dir}/state/agents/../launcher`) }],
      ["bad-source", { template: bind(`${bed.dir}/state/agents/link`) }],
      ["bad-source", { template: bind(`${bed.dir}/state/agents/link/ssl`) }],
      ["missing-source", { template: bind(`${bed.dir}/state/agents/none`) }],
      ["over-limit", { template: { ...good, resources: { memory_limit_mb: 1e6 } } }],
      ["over-limit", { template: { ...good, resources: { files: 4097 } } }],
      ["bad-limit", { template: { ...good, resources: { memory_limit_mb: -1 } } }],
      ["bad-option", { template: { ...good, resources: { scratch_mb: 4097 } } }],
      ["passthrough-refused", { template: { ...good, isolation: "none" } }],
    ];
    for (const [code, asked] of cases) {
      await assert.rejects(bed.create("x", await bed.request("x", asked)), { code });
    }
    assert.deepEqual([...Deno.readDirSync(`${bed.dir}/p`)], []);
    // Control: in order, it starts; and an older one is then a replay.
    const older = await bed.request("x", { template: good });
    await bed.create("x", await bed.request("x", { template: good, bundle }));
    await assert.rejects(bed.create("x", older), { code: "replayed" });
    await bed.destroy("x");
    await assert.rejects(bed.create("x", older), { code: "replayed" });
    await Deno.remove(`${bed.dir}/state/operator/policy.json`);
    await assert.rejects(bed.create("x", await bed.request("x", { template: good })), {
      code: "no-policy",
    });
  });
});

Deno.test("a launcher that is started as root refuses", async (t) => {
  if (Deno.uid() !== 0) return await skip(t, "only root can start one as root");
  await withLauncher(async (bed) => {
    const { process, line, logged } = await bed.spawn("serve", "root");
    assert.equal((await process.status).code, 1);
    await logged;
    assert.equal((line["error"] as { code: string }).code, "root");
  });
});

Deno.test("preflight tries what a sandbox needs and says what it found", async () => {
  await withLauncher(async (bed) => {
    const { process, line, logged } = await bed.spawn("preflight");
    assert.equal((await process.status).code, 0);
    await logged;
    const findings = line["findings"] as { check: string; severity: string; message: string }[];
    for (const check of ["bwrap.version", "namespaces", "tmux.version", "run-dir"]) {
      const found = findings.find((one) => one.check === check);
      assert.equal(found?.severity, "ok", JSON.stringify(found));
    }
  });
});

Deno.test("retire() keeps a removed principal from being brought back by an older assignment", async () => {
  await withLauncher(async (bed) => {
    const request = await bed.request("gone");
    await bed.create("gone", request);
    const removal = (await bed.request("gone", { assignment: { desired: "absent" } })).assignment;
    await bed.destroy("gone");
    // Control: before the launcher knows of the removal, the same assignment starts again.
    assert.equal((await bed.create("gone", request)).phase, "running");
    await assert.rejects(bed.retire("gone", { ...removal, issued_at: removal.issued_at + 9 }), {
      code: "bad-signature",
    });
    await assert.rejects(bed.retire("other", removal), { code: "wrong-principal" });
    await assert.rejects(bed.retire("gone", request.assignment), { code: "running" });
    await bed.retire("gone", removal);
    await bed.destroy("gone");
    await assert.rejects(bed.create("gone", request), { code: "replayed" });
    // A newer signature brings it back.
    assert.equal((await bed.create("gone", await bed.request("gone"))).phase, "running");
  });
});

Deno.test("a damaged replay record refuses and says what to do", async () => {
  await withLauncher(async (bed) => {
    const older = await bed.request("x");
    await bed.create("x", await bed.request("x"));
    await bed.destroy("x");
    await assert.rejects(bed.create("x", older), { code: "replayed" });
    const seen = `${bed.dir}/state/launcher/seen/${await bed.hash("x")}`;
    for (const text of ["", "-1", "1e3", "\0\0\0"]) {
      await Deno.writeTextFile(seen, text);
      await assert.rejects(bed.create("x", older), { code: "seen-damaged", hint: /rm / });
    }
  });
});
