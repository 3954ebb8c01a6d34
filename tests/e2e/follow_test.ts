// SPDX-License-Identifier: Apache-2.0

/** A service of the machine follows Matrix through the daemon, over the end of a daemon. */
import assert from "node:assert/strict";
import { type FollowedEvent, followEvents, readRoomState } from "../../src/messaging/mod.ts";
import { type Bureau, eventually, findProcess, withBureau } from "./harness.ts";
import { matrix, roomId } from "./matrix.ts";

interface Status {
  readonly machine: string;
}

let sent = 0;

/** Says something that was never said before, as the operator. @returns it */
async function speak(bureau: Bureau, room: string): Promise<string> {
  const body = `said ${++sent} of ${bureau.runDir}`;
  const path = `rooms/${encodeURIComponent(room)}/send/m.room.message/follow-${sent}`;
  await matrix(bureau, path, { method: "PUT", body: { msgtype: "m.text", body } });
  return body;
}

Deno.test("a service follows the machine's rooms through the daemon, and finds the next daemon", async () => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const session = JSON.parse(await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`));
    const token: string = session.access_token;
    const socket = `${bureau.runDir}/daemon/daemon.sock`;
    const { machine } = await eventually(
      "the daemon's status",
      async () => {
        const answer = await bureau.json<{ daemon?: Status } & Partial<Status>>("status");
        const status = answer.daemon ?? answer;
        return status.machine === undefined ? null : status as Status;
      },
    );
    const room = await roomId(bureau, machine.replace(/^@|:[^:]*$/g, ""));

    const seen: FollowedEvent[] = [];
    const stop = new AbortController();
    const following = (async () => {
      const types = ["m.room.message"];
      for await (const one of followEvents({ socket, token, types, signal: stop.signal })) {
        seen.push(one);
      }
    })();
    const hears = (body: string) =>
      seen.some((one) => one.kind === "event" && one.event.content["body"] === body);
    try {
      await eventually("the beginning", () => Promise.resolve(seen[0]?.kind === "reset"));
      const first = await speak(bureau, room);
      await eventually("the first message", () => Promise.resolve(hears(first)));

      const state = await readRoomState({ socket, token }, room);
      assert.ok(state.some(({ type }) => type === "m.room.power_levels"));

      const daemon = `${bureau.stateDir}/runtime/daemon.js`;
      const pid = await eventually(
        "the daemon's process",
        () => findProcess(bureau, (line) => line.includes(daemon)),
      );
      Deno.kill(pid, "SIGKILL");
      await eventually(
        "a new beginning",
        () => Promise.resolve(seen.filter(({ kind }) => kind === "reset").length >= 2),
        60_000,
      );
      // What is said before the new daemon's first sync counts as old.
      await eventually("a message after it", async () => {
        const body = await speak(bureau, room);
        return await eventually("to be heard", () => Promise.resolve(hears(body)), 1_000);
      }, 60_000);
      assert.equal(
        seen.filter((one) => one.kind === "event" && one.event.content["body"] === first).length,
        1,
      );
    } finally {
      stop.abort();
      await following;
    }
  });
});
