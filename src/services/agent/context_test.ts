// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Checkpoint, Commit } from "./api.ts";
import { MAX_CHAIN } from "./context.ts";
import { AgentServiceError } from "./errors.ts";
import { KEEP_MS } from "./retention.ts";
import { Store } from "./store.ts";

const AGENTS = ["@a/one:s", "@a/two:s"] as const;
const encoder = new TextEncoder();

async function withStore(use: (store: Store, clock: { at: number }) => Promise<void>) {
  const dir = await Deno.makeTempDir({ prefix: "bureau-context-" });
  const clock = { at: 1_000_000_000_000, now: () => clock.at };
  try {
    using store = await Store.open({ dir, clock });
    await use(store, clock);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function commit(
  store: Store,
  text: string,
  { agent = AGENTS[0], ...about }: Partial<Checkpoint> & { agent?: string } = {},
): Promise<Commit> {
  const content = await store.contents.put(ReadableStream.from([encoder.encode(text)]), 1e9);
  return store.context.commit(agent, {
    ...{ parent: null, type: "delta", format: "events-v1", session_id: null, checkpoint: "turn" },
    ...about,
  }, content);
}

async function materialised(store: Store, id: string, stop: string): Promise<string> {
  const chain = store.context.chain(id, stop);
  return await new Response(ReadableStream.from(store.read(chain.map(({ content }) => content))))
    .text();
}

Deno.test("whatever is committed and forked: what is materialised is what a plain walk joins", async () => {
  const steps = fc.array(
    fc.record({
      parent: fc.nat(),
      isRoot: fc.boolean(),
      agent: fc.constantFrom(...AGENTS),
      type: fc.constantFrom("delta" as const, "delta" as const, "compaction" as const),
      text: fc.constantFrom("", "a\n", "b\n", "c\n"),
      stop: fc.nat(),
    }),
    { minLength: 1, maxLength: 25 },
  );
  await fc.assert(
    fc.asyncProperty(steps, (plan) =>
      withStore(async (store) => {
        const model = new Map<string, { parent: string | null; type: string; text: string }>();
        for (const { parent: at, isRoot, agent, type, text, stop } of plan) {
          const known = [...model.keys()];
          const parent = isRoot || known.length === 0 ? null : known[at % known.length]!;
          const made = await commit(store, text, { agent, parent, type });
          const again = await commit(store, text, { agent, parent, type });
          assert.deepEqual(again, made, "the same twice is one");
          assert.equal(store.context.tip(agent), made.id);
          model.set(made.id, { parent, type, text });

          const path = [made.id];
          for (let id: string | null = parent; id !== null; id = model.get(id)!.parent) {
            path.push(id);
          }
          const joined = (ids: readonly string[]) =>
            ids.toReversed().map((id) => model.get(id)!.text).join("");
          const last = path.findIndex((id) => model.get(id)!.type !== "delta");
          const stopAt = stop % path.length;
          assert.equal(await materialised(store, made.id, "root"), joined(path));
          assert.equal(
            await materialised(store, made.id, "compaction"),
            joined(last === -1 ? path : path.slice(0, last + 1)),
          );
          // Twice: from the chains that are remembered, too.
          for (let i = 0; i < 2; i++) {
            assert.equal(
              await materialised(store, made.id, path[stopAt]!),
              joined(path.slice(0, stopAt + 1)),
            );
          }
          const aside = known.find((id) => !path.includes(id));
          if (aside !== undefined) {
            assert.throws(() => store.context.chain(made.id, aside), /not in the chain/);
          }
        }
      })),
    { numRuns: 40 },
  );
});

Deno.test("a chain of 10,000 is materialised, one more is not, and a compaction mends it", async () => {
  await withStore(async (store) => {
    const content = await store.contents.put(ReadableStream.from([encoder.encode("x\n")]), 10);
    const about = { type: "delta", format: "events-v1", session_id: null } as const;
    let parent: string | null = null;
    store.database.write(() => {
      const insert =
        "INSERT INTO commits VALUES (NULL, ?, ?, ?, 'delta', 'events-v1', ?, 2, NULL, 'turn', NULL, NULL, NULL, ?)";
      for (let i = 0; i < MAX_CHAIN; i++) {
        const id = `ctx-${i.toString(16).padStart(64, "0")}`;
        store.database.run(insert, id, AGENTS[0], parent, content.hash, 1_000_000_000_000);
        parent = id;
      }
    });
    assert.equal((await materialised(store, parent!, "root")).length, 2 * MAX_CHAIN);
    const { context } = store;
    const more = context.commit(AGENTS[0], { ...about, parent, checkpoint: "turn" }, content);
    assert.throws(
      () => context.chain(more.id, "compaction"),
      (thrown) => thrown instanceof AgentServiceError && thrown.code === "chain-too-long",
    );
    const short = await commit(store, "all\n", { parent: more.id, type: "compaction" });
    assert.equal(await materialised(store, short.id, "compaction"), "all\n");
  });
});

Deno.test("what is old goes, but not what anything young or a tip is made from", async () => {
  await withStore(async (store, clock) => {
    const { context } = store;
    const root = await commit(store, "root\n");
    const compacted = await commit(store, "all\n", { parent: root.id, type: "compaction" });
    const next = await commit(store, "next\n", { parent: compacted.id });
    const aside = await commit(store, "aside\n", { parent: root.id });
    clock.at += KEEP_MS + 1;
    const young = await commit(store, "young\n", { parent: next.id });
    // Contents are aged by their files' own times.
    const old = new Date(0);
    for (const { content } of [root, compacted, next, aside, young]) {
      await Deno.utime(`${store.contents.pathOf(content)}`, old, old);
    }
    context.chain(young.id, "root");
    await store.prune();
    assert.equal(await materialised(store, young.id, "compaction"), "all\nnext\nyoung\n");
    for (const { id } of [root, aside]) assert.throws(() => context.ownerOf(id), /Cannot find/);
    assert.throws(
      () => context.chain(young.id, "root"),
      (thrown) => thrown instanceof AgentServiceError && thrown.code === "pruned",
    );
    const left = await Array.fromAsync(store.contents.olderThan(Infinity));
    assert.deepEqual(
      left.toSorted(),
      [compacted, next, young].map(({ content }) => content).toSorted(),
    );
    assert.equal(context.history(AGENTS[0], young.id, 10).commits.length, 3);
    assert.equal(context.at(AGENTS[0], clock.at - 1).id, next.id);
    assert.equal(context.at(AGENTS[0], clock.at).id, young.id);
  });
});

Deno.test("a log goes 30 days after its session's end, what it counted stays", async () => {
  await withStore(async (store, clock) => {
    const { sessions } = store;
    const event = `${JSON.stringify({ type: "tool_call", id: "1", name: "b", input: {} })}\n`;
    const body = () => ReadableStream.from([encoder.encode(event)]);
    const readable = async (session: string) =>
      (await Array.fromAsync(sessions.log(AGENTS[0], session, 0))).length > 0;
    sessions.start(AGENTS[0], { session_id: "old" });
    await sessions.append(AGENTS[0], "old", 0, body());
    sessions.end(AGENTS[0], "old");
    sessions.start(AGENTS[0], { session_id: "goes-on" });
    await sessions.append(AGENTS[0], "goes-on", 0, body());
    clock.at += KEEP_MS + 1;
    assert.deepEqual([await readable("old"), await readable("goes-on")], [true, true]);
    await store.prune();
    assert.deepEqual([await readable("old"), await readable("goes-on")], [false, true]);
    assert.equal(sessions.find(AGENTS[0], "old").log_bytes, event.length);
    assert.equal(sessions.metrics(AGENTS[0]).total.tool_calls, 2);
    // Whoever goes on with it: it is counted, and no log with a hole is kept.
    sessions.end(AGENTS[0], "goes-on");
    sessions.start(AGENTS[0], { session_id: "old" });
    await sessions.append(AGENTS[0], "old", event.length, body());
    assert.deepEqual([await readable("old"), sessions.metrics(AGENTS[0]).total.tool_calls], [
      false,
      3,
    ]);
  });
});
