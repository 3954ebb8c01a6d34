// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { SECRET, Server } from "../homeserver/_process.ts";
import { account } from "./_accounts.ts";
import { positionFile, runSync, type SyncBatch } from "./mod.ts";

Deno.test("a sync goes on after a restart where it was, and repeats a batch that was not finished", async () => {
  await using server = await Server.start();
  const client = await account(server.url, "a", SECRET);
  const room = await client.createRoom({});
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const bodies: string[] = [];
  let batches: SyncBatch[] = [];
  const life = async (until: string | null) => {
    batches = [];
    const stop = new AbortController();
    const failed: unknown[] = [];
    await runSync({
      client,
      userId: client.id,
      filter: { room: { timeline: { types: ["m.room.message"] } } },
      store: positionFile(`${folder}/position.json`, (error) => failed.push(error)),
      signal: stop.signal,
      onBatch(batch) {
        batches.push(batch);
        const news = batch.joined.flatMap(({ timeline }) => timeline)
          .map(({ content }) => String(content["body"]));
        bodies.push(...news);
        // Ended in the middle of the batch: its position is not saved.
        if (news.includes("unfinished") && until === "unfinished") {
          stop.abort();
          throw new Error("killed here");
        }
        if (until === null || news.includes(until)) stop.abort();
      },
    });
    assert.deepEqual(failed, []);
  };
  const say = (body: string) => client.send(room, "m.room.message", { body }, body);
  try {
    await life(null);
    assert.equal(batches[0]!.initial, true);
    await say("one");
    await life("one");
    assert.equal(batches[0]!.initial, false);
    await say("unfinished");
    await life("unfinished");
    await say("two");
    await life("two");
    assert.deepEqual(bodies, ["one", "unfinished", "unfinished", "two"]);
    await Deno.writeTextFile(`${folder}/position.json`, '{"since":');
    await life("two");
    assert.equal(batches[0]!.initial, true);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
