// SPDX-License-Identifier: Apache-2.0

/**
 * A real process on a disk that is really full: writes are refused, reads go on, nothing that was
 * acknowledged is lost (killed in that state too), and writes recover by themselves.
 */
import assert from "node:assert/strict";
import { skip } from "../lib/testing/skip.ts";
import { type Reply, Server, type User } from "./_process.ts";
import { until } from "./_raw.ts";

const MB = 1024 * 1024;
const id = encodeURIComponent;
const ok = (reply: Reply) => {
  assert.equal(reply.status, 200, JSON.stringify(reply.body));
  return reply.body;
};

async function run(command: string, ...args: string[]): Promise<boolean> {
  return (await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output())
    .success;
}

/** A file system of `mb` megabytes, or undefined where this user may not mount one. */
async function smallDisk(mb: number): Promise<(AsyncDisposable & { path: string }) | undefined> {
  const path = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-disk-" });
  const mounted = Deno.uid() === 0 &&
    await run("mount", "-t", "tmpfs", "-o", `size=${mb}m,mode=700`, "tmpfs", path);
  if (!mounted) {
    await Deno.remove(path);
    return undefined;
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      await run("umount", "-l", path);
      await Deno.remove(path).catch(() => {});
    },
  };
}

/** Events that were answered with 200, by transaction. */
type Acknowledged = Map<string, string>;

const send = (user: User, room: string, txn: string) =>
  user.call("PUT", `rooms/${room}/send/m.x/${txn}`, { txn, filler: "x".repeat(30_000) });

/** Sends until the disk says no. */
async function fill(user: User, room: string, sent: Acknowledged, name: string): Promise<void> {
  for (let i = 0; i < 2_000; i++) {
    const reply = await send(user, room, `${name}${i}`);
    if (reply.status === 200) {
      sent.set(`${name}${i}`, reply.body.event_id);
      continue;
    }
    assert.deepEqual([reply.status, reply.body.errcode], [507, "M_LIMIT_EXCEEDED"]);
    assert.ok(reply.body.retry_after_ms > 0);
    return;
  }
  assert.fail("the disk was never full");
}

async function assertReads(user: User, room: string, sent: Acknowledged): Promise<void> {
  for (const [txn, eventId] of sent) {
    const event = ok(await user.call("GET", `rooms/${room}/event/${id(eventId)}`));
    assert.equal(event.content.txn, txn);
  }
  const { rooms } = ok(await user.call("GET", "sync"));
  assert.equal(rooms.join[decodeURIComponent(room)].state.events.length > 0, true);
  ok(await user.call("GET", `rooms/${room}/messages?dir=b&limit=5`));
}

/** A fresh process reads what an earlier one was told to be stored. */
async function afterRestart(old: Server, user: User, room: string, sent: Acknowledged) {
  await old.kill();
  const server = await Server.start({}, old.stateDir);
  const again = server.user(user.id, user.token, user.device);
  await assertReads(again, room, sent);
  return { server, user: again };
}

Deno.test("homeserver on a full disk refuses writes, reads, and recovers", async (t) => {
  await using disk = await smallDisk(8);
  if (disk === undefined) {
    return await skip(t, "mounting a small file system needs root with CAP_SYS_ADMIN");
  }
  const stateDir = `${disk.path}/state`;
  await Deno.mkdir(stateDir);
  const ballast = `${disk.path}/ballast`;
  await Deno.writeFile(ballast, new Uint8Array(4 * MB));
  await using first = await Server.start({}, stateDir);
  const alice = await first.register("alice");
  const room = id(ok(await alice.call("POST", "createRoom", {})).room_id);
  const sent: Acknowledged = new Map();

  await fill(alice, room, sent, "a");
  assert.ok(sent.size > 0);
  await assertReads(alice, room, sent);
  // Many at once: one batch fails as a whole and acknowledges none of it.
  for (const reply of await Promise.all([1, 2, 3, 4].map((i) => send(alice, room, `many${i}`)))) {
    if (reply.status === 200) continue;
    assert.deepEqual([reply.status, reply.body.errcode], [507, "M_LIMIT_EXCEEDED"]);
  }

  // Killed while the disk is full, and started on the full disk.
  const next = await afterRestart(first, alice, room, sent);
  await using second = next.server;
  await fill(next.user, room, sent, "b");
  await assertReads(next.user, room, sent);

  await Deno.remove(ballast);
  const poll = next.user.call("GET", "sync");
  await until("writes recover", async () => (await send(next.user, room, "back")).status === 200);
  ok(await poll);
  const back = ok(await send(next.user, room, "back")).event_id;
  sent.set("back", back);
  await assertReads(next.user, room, sent);

  await fill(next.user, room, sent, "c");
  const last = await afterRestart(second, next.user, room, sent);
  await using _third = last.server;
});

Deno.test("homeserver under a file size limit refuses writes, reads, and recovers", async (t) => {
  if (!await run("prlimit", "--version")) {
    return await skip(t, "there is no prlimit (Debian package util-linux)");
  }
  // The signal would end the process first; a quota or a file system's own limit sends none.
  const wrapper = ["env", "--ignore-signal=XFSZ"];
  await using first = await Server.start({}, undefined, {}, wrapper);
  const alice = await first.register("alice");
  const room = id(ok(await alice.call("POST", "createRoom", {})).room_id);
  const sent: Acknowledged = new Map();
  const limit = (bytes: number | "unlimited") =>
    run("prlimit", "--pid", String(first.process.pid), `--fsize=${bytes}:`);
  if (!await limit(3 * MB)) {
    return await skip(t, "this user may not set limits of another process");
  }
  await fill(alice, room, sent, "a");
  assert.ok(sent.size > 0);
  await assertReads(alice, room, sent);
  assert.ok(await limit("unlimited"));
  await until("writes recover", async () => (await send(alice, room, "back")).status === 200);
  sent.set("back", ok(await send(alice, room, "back")).event_id);

  assert.ok(await limit(3 * MB));
  await fill(alice, room, sent, "b");
  const last = await afterRestart(first, alice, room, sent);
  await using _second = last.server;
  ok(await send(last.user, room, "after"));
});
