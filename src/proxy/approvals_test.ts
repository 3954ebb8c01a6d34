// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createProxyClient } from "../lib/proxyclient/mod.ts";
import { readServerSentEvents } from "../lib/sse.ts";
import { type ApprovalNews, MAX_OPEN_APPROVALS, parseApproval } from "./approvals.ts";
import { type Harness, withProxy } from "./testing/harness.ts";

const bash = { tool: "Bash", permission: "execute-command", resource: "make" } as const;

async function watched(
  use: (harness: Harness, next: () => Promise<ApprovalNews>) => Promise<void>,
): Promise<void> {
  await withProxy({ grants: [], denials: [] }, async (harness) => {
    const watch = await harness.admin("/v1/watch");
    const events = readServerSentEvents(watch.body!, () => {});
    const next = async () => JSON.parse((await events.next()).value!.data).approvals;
    try {
      await use(harness, next);
    } finally {
      await events.return(undefined);
    }
  });
}

const answer = async ({ admin }: Harness, key: string, approved: boolean): Promise<boolean> => {
  const body = JSON.stringify({ key, approved, why: "@ann:s decided it" });
  return (await (await admin("/v1/approval", { method: "PUT", body })).json()).asked;
};

Deno.test("an agent asks leave, the daemon hears it, and the answer is handed over once", async () => {
  await watched(async (harness, next) => {
    const { get, sockets } = harness;
    using client = createProxyClient({ socket: sockets.agent });
    const leave = client.approval(bash);
    const [asked] = (await next()).asked!;
    assert.deepEqual({ ...asked, key: "" }, { ...bash, key: "" });
    const { key } = asked!;
    // The daemon was replaced: it hears of what is open.
    const again = await harness.admin("/v1/watch");
    const seconds = readServerSentEvents(again.body!, () => {});
    const { value } = await seconds.next();
    assert.deepEqual(JSON.parse(value!.data).approvals, { asked: [asked], taken: [] });
    // Another call under the same key is not let through by its answer.
    const other = JSON.stringify({ ...asked, resource: "rm -rf /" });
    const refused = await get("/v1/approvals", { method: "POST", body: other });
    assert.deepEqual([refused.status, (await refused.json()).error.code], [409, "key-used"]);
    assert.equal(await answer(harness, key, true), true);
    assert.deepEqual(await leave, { approved: true, why: "@ann:s decided it" });
    const taken = await seconds.next();
    assert.deepEqual(JSON.parse(taken.value!.data).approvals, { taken: [key] });
    assert.equal(await answer(harness, key, true), false, "it is asked no more");
    await seconds.return(undefined);
  });
});

Deno.test("what is no question is none, and there are few at a time", async () => {
  await watched(async ({ get }, next) => {
    const post = (body: unknown) =>
      get("/v1/approvals", { method: "POST", body: JSON.stringify(body) });
    for (
      const wrong of [
        {},
        { ...bash },
        { ...bash, key: "short" },
        { ...bash, key: "x".repeat(20), permission: "everything" },
        { ...bash, key: "x".repeat(20), resource: "x".repeat(4_001) },
        { ...bash, key: "x".repeat(20), resource: "\ud800" },
        { ...bash, key: "x".repeat(20), tool: "" },
      ]
    ) {
      const response = await post(wrong);
      assert.equal(response.status, 400, JSON.stringify(wrong).slice(0, 80));
      await response.body?.cancel();
    }
    const stop = new AbortController();
    const key = (n: number) => `a-key-for-call-${100 + n}`;
    const open = Array.from(
      { length: MAX_OPEN_APPROVALS },
      (_, n) =>
        get("/v1/approvals", {
          method: "POST",
          body: JSON.stringify({ ...bash, key: key(n) }),
          signal: stop.signal,
        }).catch(() => {}),
    );
    for (let heard = 0; heard < MAX_OPEN_APPROVALS;) heard += (await next()).asked?.length ?? 0;
    const more = await post({ ...bash, key: key(99) });
    assert.equal(more.status, 429);
    await more.body?.cancel();
    stop.abort();
    await Promise.all(open);
  });
});

Deno.test("a proxy that ends lets its callers go, to ask the next one", async () => {
  await watched(async ({ proxy, get }, next) => {
    const body = JSON.stringify(parseApproval({ ...bash, key: "k".repeat(20) }));
    const waiting = get("/v1/approvals", { method: "POST", body });
    await next();
    const stopped = proxy.stop();
    assert.deepEqual(await (await waiting).json(), { decided: false });
    await stopped;
  });
});

Deno.test("a client whose caller gives up gets a no, as does one whose proxy is not there", async () => {
  await watched(async ({ sockets, dir }, next) => {
    using client = createProxyClient({ socket: sockets.agent });
    const stop = new AbortController();
    const leave = client.approval(bash, { signal: stop.signal });
    await next();
    stop.abort();
    assert.deepEqual(await leave, { approved: false, why: "it was cancelled" });
    using nobody = createProxyClient({ socket: `${dir}/none.sock` });
    // Time passes at once: it tries until it need not any more.
    let now = 0;
    const clock = { now: () => now, sleep: (ms: number) => Promise.resolve(void (now += ms)) };
    const refused = await nobody.approval(bash, { clock });
    assert.equal(refused.approved, false);
    assert.ok(now >= 300_000);
  });
});
