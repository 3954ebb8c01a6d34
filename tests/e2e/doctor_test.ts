// SPDX-License-Identifier: Apache-2.0

/** `bureau doctor` on a Bureau that is well, that was broken in many ways at once, that ended, and that never was. */
import assert from "node:assert/strict";
import { type Bureau, EMBEDDED, step, withBureau } from "./harness.ts";
import { matrix, roomId } from "./matrix.ts";

interface Found {
  readonly group: string;
  readonly name: string;
  readonly status: "pass" | "warn" | "fail" | "skip";
  readonly detail: string;
}

interface Repair {
  readonly name: string;
  readonly what: string;
  readonly outcome: "done" | "failed" | "left";
  readonly why: string | null;
}

async function doctor(bureau: Bureau, ...flags: string[]) {
  const { code, stdout, stderr } = await bureau.cli(
    ...["doctor", "--json", "--deadline", "120", ...flags],
  );
  assert.ok(code <= 1, stdout + stderr);
  const { checks, repairs } = JSON.parse(stdout) as { checks: Found[]; repairs: Repair[] };
  // What the machine of the test lacks is no matter of Bureau's.
  const wrong = checks.filter(({ group, name, status }) =>
    (status === "fail" || status === "warn") && group !== "machine" && !name.startsWith("storage.")
  );
  return { code, checks, repairs, wrong: wrong.map(({ name }) => name).sort(), text: stdout };
}

async function state(bureau: Bureau, room: string, type: string, key = "", body?: unknown) {
  const path = [room, "state", type, key].map(encodeURIComponent).join("/");
  return await matrix<Record<string, unknown>>(
    bureau,
    `rooms/${path}`,
    body === undefined ? {} : { method: "PUT", body },
  );
}

/** Modes and owners of all that lies still. */
async function modes(bureau: Bureau): Promise<string[]> {
  const all: string[] = [];
  const look = async (dir: string) => {
    const { mode, uid, gid } = await Deno.lstat(dir);
    all.push(`${(mode! & 0o7777).toString(8)} ${uid}:${gid} ${dir}`);
    for await (const { name, isDirectory } of Deno.readDir(dir)) {
      if (isDirectory) continue;
      const info = await Deno.lstat(`${dir}/${name}`).catch(() => null);
      if (info === null || name.includes(".db-") || name.endsWith(".new")) continue;
      all.push(`${(info.mode! & 0o7777).toString(8)} ${info.uid}:${info.gid} ${dir}/${name}`);
    }
  };
  for (const dir of ["", "/operator", "/launcher", "/homeserver", "/recordings"]) {
    await look(bureau.stateDir + dir).catch((thrown) => {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    });
  }
  for (const dir of ["", "/up", "/launcher", "/daemon", "/web"]) await look(bureau.runDir + dir);
  return all.sort();
}

Deno.test("doctor", async (t) => {
  await withBureau(async (bureau) => {
    await step(
      t,
      bureau,
      "says of a Bureau that never was what could not be looked at",
      async () => {
        const { checks, wrong } = await doctor(bureau);
        assert.deepEqual(wrong, []);
        const of = (name: string) => checks.find((one) => one.name === name)!;
        assert.match(of("session").detail, /never started/);
        assert.deepEqual([of("files").status, of("daemon").status], ["skip", "skip"]);
      },
    );

    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    const root = Deno.uid() === 0;
    const known = EMBEDDED ? [] : ["administration"];
    let before: string[] = [];

    await step(
      t,
      bureau,
      "finds nothing wrong with one that runs, and --fix changes nothing",
      async () => {
        const well = await doctor(bureau);
        assert.deepEqual(well.wrong, known, well.text);
        assert.ok(well.checks.some(({ name, status }) => name === "rooms" && status === "pass"));
        before = await modes(bureau);
        const fixed = await doctor(bureau, "--fix");
        assert.deepEqual([fixed.wrong, fixed.repairs], [known, []], fixed.text);
        assert.deepEqual(await modes(bureau), before);
      },
    );

    const system = await roomId(bureau, "bureau/system");
    const service = await roomId(bureau, "bureau/fleet/dev/service");
    const fleet = await roomId(bureau, "bureau/fleet/dev");
    const spaceId = await roomId(bureau, "bureau");
    const levels = await state(bureau, system, "m.room.power_levels");
    const session = `${bureau.stateDir}/operator/session.json`;

    await step(t, bureau, "finds what was broken, and says what --fix would do", async () => {
      await Deno.chmod(session, 0o644);
      await Deno.chmod(`${bureau.stateDir}/homeserver`, 0o755);
      await Deno.chmod(`${bureau.runDir}/daemon/daemon.sock`, 0o666);
      if (root) await Deno.chown(`${bureau.stateDir}/recordings`, 0, 0);
      await state(bureau, system, "m.room.power_levels", "", { ...levels, state_default: 0 });
      await state(bureau, service, "m.room.join_rules", "", { join_rule: "public" });
      await state(bureau, service, "m.room.history_visibility", "", {
        history_visibility: "world_readable",
      });
      await state(bureau, service, "m.room.guest_access", "", { guest_access: "can_join" });
      await state(bureau, fleet, "m.room.canonical_alias", "", {});
      const { server_name: server } = JSON.parse(await Deno.readTextFile(session));
      const space = encodeURIComponent(`#bureau:${server}`);
      await matrix(bureau, `directory/room/${space}`, { method: "DELETE" });
      const { daemon } = await bureau.json<{ daemon: { machine: string } }>("status");
      await matrix(bureau, `rooms/${encodeURIComponent(fleet)}/kick`, {
        method: "POST",
        body: { user_id: daemon.machine },
      });
      const stranger = await bureau.stranger("mallory");
      await matrix(bureau, `rooms/${encodeURIComponent(fleet)}/invite`, {
        method: "POST",
        body: { user_id: stranger.id },
      });
      const joined = await fetch(
        `${bureau.homeserver.url}/_matrix/client/v3/join/${encodeURIComponent(fleet)}`,
        { method: "POST", headers: { authorization: `Bearer ${stranger.token}` }, body: "{}" },
      );
      assert.equal(joined.status, 200, await joined.text());
      const broken = [
        ...known,
        "files.mode",
        ...(root ? ["files.owner"] : []),
        "files.secret",
        "rooms.guests",
        "rooms.history",
        "rooms.no-alias",
        "rooms.no-alias",
        "rooms.not-invited",
        "rooms.open-room",
        "rooms.power-levels",
        "rooms.stranger",
        "socket.daemon",
      ].sort();
      const listed = await doctor(bureau, "--dry-run");
      assert.deepEqual([listed.code, listed.wrong], [1, broken], listed.text);
      assert.deepEqual(
        listed.repairs.map(({ name }) => name).sort(),
        broken.filter((name) => name !== "rooms.stranger" && !known.includes(name)),
      );
      assert.ok(listed.repairs.every(({ outcome }) => outcome === "left"));
      // It has only looked.
      assert.equal((await Deno.stat(session)).mode! & 0o777, 0o644);
      assert.equal((await state(bureau, system, "m.room.power_levels"))["state_default"], 0);
      const shown = await bureau.cli("doctor", "--deadline", "120");
      assert.match(shown.stdout, /FAIL {2}files\.secret .*session\.json/);
      assert.match(shown.stdout, /mend {2}chmod 0600 .*session\.json .*--fix does/);
      assert.match(shown.stdout, /troubleshooting\.md#the-rooms-contradict-each-other/);
    });

    await step(
      t,
      bureau,
      "--fix mends it, leaves what takes a decision, and touches nothing else",
      async () => {
        const fixed = await doctor(bureau, "--fix");
        const left = [...known, "rooms.stranger"].sort();
        assert.deepEqual(fixed.wrong, left, fixed.text);
        assert.ok(fixed.repairs.length >= 8, fixed.text);
        assert.ok(fixed.repairs.every(({ outcome }) => outcome === "done"), fixed.text);
        assert.deepEqual(await modes(bureau), before);
        assert.deepEqual(await state(bureau, system, "m.room.power_levels"), levels);
        assert.equal(await roomId(bureau, "bureau"), spaceId);
        const again = await doctor(bureau, "--fix");
        assert.deepEqual([again.repairs, again.wrong], [[], left], again.text);
        assert.equal((await bureau.cli("status")).code, 0);
      },
    );

    await step(t, bureau, "a session that is gone is told once", async () => {
      const text = await Deno.readTextFile(session);
      await Deno.writeTextFile(
        session,
        text.replace(/"access_token":"[^"]*"/, '"access_token":"x"'),
      );
      const { checks } = await doctor(bureau);
      const of = (name: string) => checks.find((one) => one.name === name)!;
      assert.equal(of("session").status, "fail");
      assert.deepEqual([of("rooms").status, of("sync").status], ["skip", "skip"]);
      assert.match(of("rooms").detail, /^session fails: /);
      await Deno.writeTextFile(session, text);
    });

    await step(t, bureau, "of one that ended, what a crash left is taken away", async () => {
      assert.equal((await bureau.down()).code, 0);
      const down = await doctor(bureau);
      assert.deepEqual(down.wrong, [], down.text);
      const socket = `${bureau.runDir}/up/up.sock`;
      // A socket whose process was killed: the file stays, and refuses.
      const listener = Deno.listen({ transport: "unix", path: socket });
      // Deno would take it away itself.
      await Deno.rename(socket, `${socket}.kept`);
      listener.close();
      await Deno.rename(`${socket}.kept`, socket);
      await Deno.chmod(socket, 0o600);
      assert.ok((await Deno.lstat(socket)).isSocket);
      const found = await doctor(bureau);
      const sockets = ["socket.daemon", "socket.launcher", "socket.up", "socket.web"];
      assert.deepEqual([...new Set(found.wrong)], sockets, found.text);
      assert.equal(
        found.checks.find(({ name }) => name === "homeserver.reachable")!.status,
        EMBEDDED ? "skip" : "pass",
      );
      const fixed = await doctor(bureau, "--fix");
      assert.deepEqual(fixed.wrong, [], fixed.text);
      assert.ok(fixed.repairs.every(({ outcome }) => outcome === "done"), fixed.text);
      await assert.rejects(Deno.lstat(socket), Deno.errors.NotFound);
    });
  });
});
