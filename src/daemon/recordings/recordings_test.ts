// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { UNIX_HOST } from "../../lib/http/mod.ts";
import { readCast } from "../../lib/recording/mod.ts";
import { EventType, type Template } from "../../lib/schema/mod.ts";
import { registerWithSharedSecret } from "../../messaging/mod.ts";
import { SECRET } from "../../homeserver/_process.ts";
import type { RecordingNews } from "../api.ts";
import { Bench, FLEET, until } from "../bench_test.ts";
import { putRecording, recordingsOf } from "./testing/files.ts";

const template: Template = { description: "t", command: ["/bin/true"] };
const AGENT = `${FLEET}/agent/a`;
const GONE = `${FLEET}/agent/gone`;
const STARTED = Date.UTC(2026, 10, 21, 15);

Deno.test("recordings are listed, read and followed by who may observe, also of who is gone", async (t) => {
  await using b = await Bench.start();
  const state = b.bootstrap.run_dir;
  const [dir, gone] = [await recordingsOf(state, AGENT), await recordingsOf(state, GONE)];
  const first = await putRecording(dir, {
    startedAt: STARTED,
    lines: [[100, "o", "one\r\n"], [5_000, "o", "two\r\n"], [250, "r", "90x30"], [50, "m", "over"]],
  });
  const open = await putRecording(dir, {
    part: 2,
    startedAt: STARTED + 60_000,
    lines: [[0, "o", "three"]],
    open: true,
  });
  await putRecording(gone, { startedAt: STARTED, lines: [[0, "o", "last words"]] });
  await b.publish("t", template);
  await b.startDaemon();
  await b.assign("agent/a", template);
  const client = b.client();
  const http = Deno.createHttpClient({
    proxy: { transport: "unix", path: `${b.bootstrap.run_dir}/daemon/daemon.sock` },
  });
  const read = async (name: string, id: string, query = "", token = b.setup.operatorToken) => {
    const response = await fetch(
      `http://${UNIX_HOST}/v1/principals/${encodeURIComponent(name)}/recordings/${id}${query}`,
      { client: http, headers: { authorization: `Bearer ${token}` } },
    );
    if (!response.ok) return `${response.status} ${(await response.json()).error.code}`;
    return await Array.fromAsync((await readCast(response.body!)).events);
  };
  try {
    await until(async () => (await client.call("list")).principals.length === 1, "the agent");

    await t.step("the lists", async () => {
      const { principals } = await client.call("recorded");
      assert.deepEqual(principals.map((one) => [one.principal, one.recordings]), [[AGENT, 2], [
        GONE,
        1,
      ]]);
      const { recordings } = await client.call("recordings", { params: { principal: "agent/a" } });
      assert.deepEqual(recordings.map(({ id, part, open }) => [id, part, open]), [
        [first, 1, false],
        [open, 2, true],
      ]);
    });

    await t.step("one, whole and from a time", async () => {
      const all = [
        { at: 100, code: "o", data: "one\r\n" },
        { at: 5_100, code: "o", data: "two\r\n" },
        { at: 5_350, code: "r", data: "90x30" },
        { at: 5_400, code: "m", data: "over" },
      ];
      assert.deepEqual(await read("agent/a", first), all);
      const later = all.map((event) => ({ ...event, at: Math.max(0, event.at - 5_200) }));
      assert.deepEqual(await read("agent/a", first, "?from=5200"), later);
    });

    await t.step("what is not there, and what is no recording", async () => {
      const other = first.replace("0001", "0009");
      assert.equal(await read("agent/a", other), "404 no-recording");
      for (const id of ["owner.json", "..%2Fowner.json", "x", `${first}.cast`]) {
        assert.equal(await read("agent/a", id), "400 bad-request");
      }
      assert.equal(await read("agent/none", first), "404 not-found");
      await Deno.writeTextFile(`${dir}/${other}.cast`, "no recording\n");
      assert.equal(await read("agent/a", other), "422 not-a-recording");
      await Deno.remove(`${dir}/${other}.cast`);
    });

    await t.step("a stranger finds nothing, and each reading is written down", async () => {
      const stranger = await registerWithSharedSecret(
        { homeserverUrl: b.setup.homeserver.url },
        { user: "stranger", password: "password of a stranger" },
        SECRET,
      );
      assert.equal(await read("agent/a", first, "", stranger.access_token), "404 not-found");
      assert.equal(await read("agent/gone", first, "", stranger.access_token), "404 not-found");
      const theirs = b.client(stranger.access_token);
      assert.deepEqual(await theirs.call("recorded"), { principals: [] });
      theirs.close();
      await until(async () => {
        const log = await Deno.readTextFile(`${b.bootstrap.state_dir}/audit.jsonl`).catch(() => "");
        return log.includes(`recording ${first}`) && log.includes(AGENT);
      }, "the audit");
    });

    await t.step("the one that is written, over rotation, until the right ends", async () => {
      const seen: RecordingNews[] = [];
      const following = (async () => {
        const events = client.events("followRecording", { params: { principal: "agent/a" } });
        for await (const event of events) seen.push(event as RecordingNews);
      })();
      await until(() => seen.length >= 2, "what is there");
      await Deno.writeTextFile(`${dir}/${open}.cast`, '[1.500, "o", "fo', { append: true });
      await Deno.writeTextFile(`${dir}/${open}.cast`, 'ur"]\n', { append: true });
      await until(() => seen.length >= 3, "what is added");
      const next = await putRecording(dir, {
        part: 3,
        startedAt: STARTED + 90_000,
        lines: [[0, "o", "five"]],
        open: true,
      });
      await until(() => seen.length >= 5, "the next one");
      assert.deepEqual(seen, [
        { type: "recording", id: open, cols: 80, rows: 24, started: STARTED + 60_000 },
        { type: "event", at: STARTED + 60_000, code: "o", data: "three" },
        { type: "event", at: STARTED + 61_500, code: "o", data: "four" },
        { type: "recording", id: next, cols: 80, rows: 24, started: STARTED + 90_000 },
        { type: "event", at: STARTED + 90_000, code: "o", data: "five" },
      ]);
      const { configRoom, operatorId } = b.setup;
      await b.operator.putState(configRoom, EventType.authorization, operatorId.slice(1), {
        denials: [{ actions: ["observe"] }],
      });
      await following;
      assert.equal(await read("agent/a", first), "404 not-found");
    });
  } finally {
    client.close();
    http.close();
  }
});
