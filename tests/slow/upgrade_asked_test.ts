// SPDX-License-Identifier: Apache-2.0

/** An upgrade that is asked for in Matrix: by whom, of what, and what the room is told of it. */
import assert from "node:assert/strict";
import { generateSigningKey, parseSigningKey, signContent } from "../../src/lib/signature/mod.ts";
import { createMatrixClient } from "../../src/messaging/mod.ts";
import {
  type Bureau,
  embeddedOnly,
  eventually,
  findProcess,
  step,
  withBureau,
} from "../e2e/harness.ts";
import { matrix, messages, roomId, stateEvents } from "../e2e/matrix.ts";
import { CRASHES, mark, place, running } from "../e2e/releases.ts";

const TYPE = "m.bureau.bureau_version";
const WITHIN_MS = 120_000;

interface Told {
  readonly status: string;
  readonly step?: string;
  readonly error?: string;
  readonly issued_at?: number;
}

async function machineOf(bureau: Bureau): Promise<{ name: string; user: string; room: string }> {
  const session = JSON.parse(await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`));
  const { machine, server_name } = session as { machine: string; server_name: string };
  return {
    name: machine.split("/").at(-1)!,
    user: `@${machine}:${server_name}`,
    room: await roomId(bureau, machine),
  };
}

/** What the room was told about one request, oldest first. */
async function told(bureau: Bureau, room: string, issuedAt: number): Promise<Told[]> {
  return (await messages(bureau, room))
    .map(({ content }) => content["m.bureau.bureau_version_update"] as Told | undefined)
    .filter((part): part is Told => part?.issued_at === issuedAt);
}

const NAME = "an upgrade asked for in the config room: good, failing, unknown, and by whom";

Deno.test(embeddedOnly(NAME), async (t) => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach", "--no-agent");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const { name, user, room } = await machineOf(bureau);
    const dirOf = (digest: string) => `${bureau.stateDir}/releases/${digest}`;
    const upgrade = (digest: string, ...more: string[]) =>
      bureau.cli("machine", "upgrade", name, "--release", digest, "--settle", "1", ...more);
    const standing = async () =>
      (await stateEvents(bureau, room, TYPE)).find(({ state_key }) => state_key === user.slice(1));
    const current = async () =>
      (await bureau.json<{ current: string | null }>("machine", "releases")).current;

    const good = await place(bureau, { "launcher.js": mark, "daemon.js": mark });
    await step(t, bureau, "a good one runs, and the room was told of each step once", async () => {
      const done = await upgrade(good);
      assert.equal(done.code, 0, done.stdout + done.stderr);
      assert.match(done.stdout, /asked [^]*done: /);
      assert.equal(await current(), good);
      await eventually(
        "the old supervisor has left",
        async () => (await running(bureau, `${bureau.stateDir}/runtime`)).length === 0,
        WITHIN_MS,
      );
      assert.ok((await running(bureau, dirOf(good))).includes("daemon"));
      const { content } = (await standing())!;
      const said = await told(bureau, room, content["issued_at"] as number);
      const keys = said.map(({ status, step }) => `${status} ${step ?? ""}`);
      assert.deepEqual([...new Set(keys)], keys, "each once");
      assert.equal(said.at(-1)!.status, "reconciled");
    });

    await step(t, bureau, "a failing one is put back, told with why, and pinned", async () => {
      const bad = await place(bureau, { "launcher.js": CRASHES });
      const done = await upgrade(bad, "--deadline", "5");
      assert.equal(done.code, 1, done.stdout);
      assert.match(done.stderr, /Cannot start "launcher"/);
      assert.match(done.stderr, /what ran before runs again/);
      assert.equal(await current(), good);
      const releases = await bureau.cli("machine", "releases");
      assert.match(releases.stdout, new RegExp(`failed here +${bad}`));
      const again = await upgrade(bad);
      assert.equal(again.code, 1, again.stdout);
      assert.match(again.stderr, /it was tried here and failed/);
    });

    await step(t, bureau, "a digest that does not lie there is refused", async () => {
      const done = await upgrade("f".repeat(64));
      assert.equal(done.code, 1, done.stdout);
      assert.match(done.stderr, /it was refused/);
      const bad = await bureau.cli("machine", "upgrade", name, "--release", "../runtime");
      assert.equal(bad.code, 2, bad.stderr);
      const none = await bureau.cli("machine", "upgrade", name);
      assert.equal(none.code, 2, none.stderr);
    });

    const other = await place(bureau, { "daemon.js": (text) => `${text}\n// one more\n` });
    const put = (content: unknown) =>
      matrix(
        bureau,
        `rooms/${[room, "state", TYPE, user.slice(1)].map(encodeURIComponent).join("/")}`,
        { method: "PUT", body: content },
      );
    const operatorKey = await parseSigningKey(JSON.parse(
      await Deno.readTextFile(`${bureau.stateDir}/operator/signing-key.json`),
    ));
    let issuedAt = (await standing())!.content["issued_at"] as number;
    const wanted = () => ({
      version: 1,
      machine: user,
      release: other,
      settle_seconds: 1,
      issued_by: "@operator:x",
      issued_at: ++issuedAt,
    });
    const outcome = (at: number) =>
      eventually(
        "it is told",
        async () => (await told(bureau, room, at)).find(({ status }) => status !== "begun"),
        WITHIN_MS,
      );

    await step(t, bureau, "what nobody here signed is refused, whoever sent it", async () => {
      await put(await signContent(wanted(), await generateSigningKey()));
      const { status, error } = await outcome(issuedAt);
      assert.equal(status, "refused");
      assert.match(error!, /unknown key/);
      // Signed, and changed afterwards.
      const signed = await signContent({ ...wanted(), release: good }, operatorKey);
      await put({ ...signed, release: other });
      assert.match((await outcome(issuedAt)).error!, /signature does not match/);
      // For another machine.
      await put(
        await signContent({ ...wanted(), machine: "@bureau/fleet/dev/machine/x:y" }, operatorKey),
      );
      // One that was carried out already, once more.
      const old = await signContent({ ...wanted(), issued_at: 1 }, operatorKey);
      await put(old);
      assert.match((await outcome(1)).error!, /older than the last one/);
      assert.equal(await current(), good);
    });

    await step(
      t,
      bureau,
      "of who is no admin nothing is taken, and an admin's counts",
      async () => {
        const guest = await bureau.stranger("mallory");
        await matrix(bureau, `rooms/${encodeURIComponent(room)}/invite`, {
          method: "POST",
          body: { user_id: guest.id },
        });
        const client = createMatrixClient({
          homeserverUrl: bureau.homeserver.url,
          accessToken: guest.token,
        });
        await client.join(room);
        const levels = (await stateEvents(bureau, room, "m.room.power_levels"))[0]!.content;
        await matrix(
          bureau,
          `rooms/${encodeURIComponent(room)}/state/m.room.power_levels/`,
          {
            method: "PUT",
            body: { ...levels, events: { ...levels["events"] as object, [TYPE]: 0 } },
          },
        );
        const theirs = await signContent(wanted(), operatorKey);
        const refused = issuedAt;
        await client.putState(room, TYPE, user.slice(1), { ...theirs });
        // In order: what the daemon does about the next it does after this one.
        const done = await upgrade(other);
        assert.equal(done.code, 0, done.stdout + done.stderr);
        assert.equal(await current(), other);
        assert.deepEqual(await told(bureau, room, refused), []);
      },
    );

    await step(t, bureau, "a start carries nothing out again", async () => {
      const before = (await messages(bureau, room)).length;
      await bureau.down();
      const again = await bureau.up("--detach", "--no-agent");
      assert.equal(again.code, 0, again.stdout + again.stderr);
      // The checkout's build runs now, and the request for another stands in the room.
      assert.equal(await current(), null);
      const done = await upgrade("e".repeat(64));
      assert.match(done.stderr, /it was refused/);
      assert.equal(await current(), null);
      const said = (await messages(bureau, room)).slice(before)
        .filter(({ content }) => content["m.bureau.bureau_version_update"] !== undefined);
      assert.deepEqual(
        said.map(({ content }) => (content["m.bureau.bureau_version_update"] as Told).status),
        [
          "refused",
        ],
      );
    });
  });
});

const JOINED = "a joined machine is upgraded, by its own command and by an operator elsewhere";

Deno.test(embeddedOnly(JOINED), async (t) => {
  await withBureau(async (one) => {
    const up = await one.up("--detach", "--no-agent");
    assert.equal(up.code, 0, up.stderr);
    await withBureau(async (two) => {
      const { boot_file } = await one.json<{ boot_file: string }>("machine", "provision", "worker");
      const file = `${two.repo}/../boot.json`;
      await Deno.writeTextFile(file, await Deno.readTextFile(boot_file), { mode: 0o600 });
      const joined = await two.up("--detach", "--join", file);
      assert.equal(joined.code, 0, joined.stderr);
      const made = await one.cli(
        ...["agent", "create", "agent/a", "--machine", "worker"],
        ...["--template", "bureau/template:agent"],
      );
      assert.equal(made.code, 0, made.stderr);
      const isShell = (line: string) => /^\/bin\/sh( -l)? $/.test(line);
      const shell = () => eventually("its agent runs", () => findProcess(two, isShell), WITHIN_MS);
      const agent = await shell();
      const dirOf = (digest: string) => `${two.stateDir}/releases/${digest}`;
      const runsFrom = (digest: string) =>
        eventually(
          "all is of it",
          async () => (await running(two, dirOf(digest))).join() === "daemon,launcher,up",
          WITHIN_MS,
        );

      const first = await place(two, { "launcher.js": mark, "proxy.js": mark });
      await step(t, two, "by its own command", async () => {
        const done = await two.cli("machine", "upgrade", "--release", first, "--settle", "1");
        assert.equal(done.code, 0, done.stdout + done.stderr);
        await runsFrom(first);
        assert.equal(await shell(), agent, "the agent lived on");
      });

      const second = await place(two, { "daemon.js": mark });
      await step(t, one, "by an operator on another machine", async () => {
        const done = await one.cli(
          ...["machine", "upgrade", "worker", "--release", second, "--settle", "1"],
        );
        assert.equal(done.code, 0, done.stdout + done.stderr);
        await runsFrom(second);
        assert.equal(await shell(), agent, "the agent lived on");
        // Ours is what it was.
        const { current } = await one.json<{ current: string | null }>("machine", "releases");
        assert.equal(current, null);
      });

      await step(t, one, "what fails there is put back there, and told here", async () => {
        const bad = await place(two, { "daemon.js": CRASHES });
        const done = await one.cli(
          ...["machine", "upgrade", "worker", "--release", bad, "--settle", "1"],
          ...["--deadline", "5"],
        );
        assert.equal(done.code, 1, done.stdout);
        assert.match(done.stderr, /Cannot start "daemon".*what ran before runs again/);
        await runsFrom(second);
        assert.equal(await shell(), agent, "the agent lived on");
      });
    });
  });
});
