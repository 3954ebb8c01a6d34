// SPDX-License-Identifier: Apache-2.0

/** Everything that can be wrong before or around a start: an error that says what to do, and nothing left. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { EMBEDDED, eventually, freePort, ROOT, run, withBureau } from "./harness.ts";
import { matrix, SCRIBE } from "./matrix.ts";

/** What a refused start made goes a moment later: a process beside it waits for its end. */
async function removeBase(base: string, runDir: string): Promise<void> {
  await eventually("control groups are gone", async () => {
    const left = await Deno.readTextFile(`${runDir}/cgroups`).catch(() => null);
    if (left !== null) throw new Error(left);
    return true;
  });
  await Deno.remove(base, { recursive: true });
}

Deno.test("up refuses what it cannot understand with a usage error", async () => {
  const base = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  for (
    const args of [["--nope"], ["--listen"], ["--listen", "x:y"], ["--homeserver", "nonsense"]]
  ) {
    const done = await run("sh", [
      "tasks/up",
      "--state-dir",
      base,
      "--run-dir",
      base,
      ...args,
    ]);
    assert.equal(done.code, 2, args.join(" "));
    assert.match(done.stderr, /^error: Cannot start: /);
    assert.match(done.stderr, /hint: /);
  }
  await removeBase(base, base);
});

Deno.test("up refuses a run directory whose sockets would not fit", async () => {
  const base = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const long = `${base}/${"x".repeat(80)}`;
  const done = await run("sh", ["tasks/up", "--state-dir", `${base}/s`, "--run-dir", long]);
  assert.equal(done.code, 1);
  assert.match(done.stderr, /error: .*(107|too long)/);
  assert.match(done.stderr, /hint: .*--run-dir/);
  await removeBase(base, long);
});

Deno.test("up names the program's port when it is taken, and leaves nothing running", async () => {
  await withBureau(async (bureau) => {
    // With another homeserver the authority is the first that listens.
    const port = EMBEDDED ? bureau.ports.homeserver : bureau.ports.authority;
    using _taken = Deno.listen({ hostname: "127.0.0.1", port });
    const done = await bureau.up("--detach");
    assert.equal(done.code, 1, done.stdout);
    assert.match(done.stderr, new RegExp(`error: .*${port}`));
    assert.match(done.stderr, EMBEDDED ? /hint: .*--listen/ : /hint: .*--authority/);
  });
});

Deno.test("a second up names the running one, and the first goes on", async () => {
  await withBureau(async (bureau) => {
    assert.equal((await bureau.up("--detach", "--no-agent")).code, 0);
    const second = await bureau.up("--detach", "--no-agent");
    assert.equal(second.code, 1);
    assert.match(second.stderr, /error: Cannot start: Bureau already runs here/);
    assert.match(second.stderr, /hint: .*deno task down/);
    assert.match((await bureau.cli("status")).stdout, /homeserver/);
    assert.match((await bureau.down()).stdout, /stopped/);
    assert.match((await bureau.down()).stdout, /not running/);
    const status = await bureau.cli("status");
    assert.notEqual(status.code, 0);
    assert.match(status.stderr, /deno task up/);
  });
});

Deno.test("up says which homeserver it cannot reach", async () => {
  await withBureau(async (bureau) => {
    const port = freePort();
    const token = `${bureau.repo}/token`;
    await Deno.writeTextFile(token, "secret-token");
    const done = await bureau.up(
      "--detach",
      "--homeserver",
      `http://127.0.0.1:${port}`,
      "--registration-token-file",
      token,
    );
    assert.equal(done.code, 1);
    assert.match(done.stderr, new RegExp(`error: .*127\\.0\\.0\\.1:${port}`));
    assert.match(done.stderr, /hint: /);
    assert.ok(!done.stderr.includes("secret-token"));
  });
});

Deno.test("up names a full disk as such", async (t) => {
  // A tiny tmpfs for the state directory, in a mount namespace of the test's own.
  // Root makes the namespace itself: in a user namespace it could not give files to other users.
  const namespace = Deno.uid() === 0
    ? ["--mount"]
    : ["--user", "--map-current-user", "--keep-caps", "--mount"];
  const probe = await run("unshare", [...namespace, "true"]);
  if (probe.code !== 0) {
    await skip(t, `no mount namespace can be made here: ${probe.stderr.trim()}`);
    return;
  }
  await t.step("state directory of 1 MiB", async () => {
    const base = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
    await Deno.chmod(base, 0o711);
    const script =
      `mount -t tmpfs -o size=1m,mode=0711 none "$1" && exec sh tasks/up --detach --state-dir "$1/s" --run-dir "$2" --no-agent --listen 127.0.0.1:${freePort()}`;
    await Deno.mkdir(`${base}/disk`);
    const done = await run(
      "unshare",
      [...namespace, "sh", "-c", script, "sh", `${base}/disk`, `${base}/r`],
      ROOT,
    );
    assert.notEqual(done.code, 0);
    assert.match(done.stderr, /error: .*(disk is full|[Nn]o space)/, done.stdout + done.stderr);
    assert.match(done.stderr, /hint: .*(free|--state-dir)/);
    await Deno.remove(base, { recursive: true });
  });
});

Deno.test("a malformed or unknown assignment is reported where a person looks, and harms nobody", async () => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const { user_id } = JSON.parse(
      await Deno.readTextFile(`${bureau.stateDir}/operator/machine-session.json`),
    ) as { user_id: string };
    const machine = user_id.slice(1);
    const { room_id } = await matrix<{ room_id: string }>(
      bureau,
      `directory/room/${encodeURIComponent(`#${machine}`)}`,
    );
    const put = (key: string, content: unknown) =>
      matrix(
        bureau,
        `rooms/${encodeURIComponent(room_id)}/state/m.bureau.assignment/${encodeURIComponent(key)}`,
        { method: "PUT", body: content },
      );
    await put(`bureau/fleet/dev/agent/broken:${bureau.homeserver.serverName}`, {
      version: 1,
      principal: 7,
    });
    const failing = await eventually("the malformed one is shown as failed", async () => {
      const { principals } = await bureau.json<{ principals: View[] }>("agent", "list");
      return principals.find((view) =>
        view.principal.endsWith("/broken") && view.phase === "failed"
      );
    });
    assert.match(failing.message ?? "", /principal/);

    const unknown = await bureau.cli(
      "agent",
      "create",
      "agent/nobody",
      "--template",
      "bureau/template:nothing",
    );
    assert.notEqual(unknown.code, 0);
    assert.match(unknown.stderr, /error: .*nothing/);
    assert.match(unknown.stderr, /hint: /);

    await eventually("the other agent runs", async () => {
      const { principals } = await bureau.json<{ principals: View[] }>("agent", "list");
      return principals.find((view) => view.principal === SCRIBE)?.phase === "running";
    });
  });
});

interface View {
  readonly principal: string;
  readonly phase: string;
  readonly message: string | null;
}
