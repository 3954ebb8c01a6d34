// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Broker, type BrokerOptions, Mailbox, MailClient, type MailMessage, Seen } from "./mod.ts";
import { McpOverMail, serveMcp } from "./mod.ts";

const PATIENCE_MS = 60_000;

const mail = (id: string, change: Partial<MailMessage> = {}): MailMessage => ({
  id,
  from: { session_id: "whoever" },
  kind: "task",
  body: { text: id },
  created_at: "2026-11-21T00:00:00Z",
  ...change,
});

async function until(look: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!await look()) {
    if (Date.now() > end) throw new Error(`did not come true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function inDirectory(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-mail" });
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const ids = (mails: readonly { readonly message: MailMessage }[]) =>
  mails.map(({ message }) => message.id);

Deno.test("a mailbox gives what was left in it in order, and again until it is acknowledged", () =>
  inDirectory(async (dir) => {
    const box = await Mailbox.open(`${dir}/a`);
    // A clock that stands still: the order stays.
    const same = await Mailbox.open(`${dir}/a`, { now: () => 1_000 });
    for (const id of ["1", "2", "3"]) await same.deliver(mail(id));
    assert.deepEqual(ids(await box.drain(2)), ["1", "2"]);
    // The reader dies here. The next one finds what it had, and then what came after.
    const next = await Mailbox.open(`${dir}/a`);
    const left = await next.recover();
    assert.deepEqual(ids(left), ["1", "2"]);
    for (const { name } of left) await next.ack(name);
    await next.ack(left[0]!.name);
    await next.ack("../../etc/passwd");
    assert.deepEqual(ids(await next.recover()), []);
    assert.deepEqual(ids(await next.drain()), ["3"]);
    assert.equal((await Deno.stat(`${dir}/a/new`)).mode! & 0o777, 0o700);
  }));

Deno.test("fifty writers at one time lose nothing, and two readers give nothing twice", () =>
  inDirectory(async (dir) => {
    const writers = Array.from({ length: 50 }, async (_, writer) => {
      const box = await Mailbox.open(dir);
      for (let n = 0; n < 4; n++) await box.deliver(mail(`${writer}-${n}`));
    });
    const taken: string[] = [];
    let done = false;
    const readers = [1, 2].map(async () => {
      const box = await Mailbox.open(dir);
      while (!done || taken.length < 200) {
        for (const { name, message } of await box.drain()) {
          taken.push(message.id);
          await box.ack(name);
        }
        if (done && (await box.drain(0)).length === 0 && taken.length >= 200) return;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    });
    await Promise.all(writers);
    done = true;
    await Promise.all(readers);
    assert.equal(taken.length, 200);
    assert.equal(new Set(taken).size, 200);
    for (let writer = 0; writer < 50; writer++) {
      const own = taken.filter((id) => id.startsWith(`${writer}-`));
      assert.deepEqual(own.toSorted(), [0, 1, 2, 3].map((n) => `${writer}-${n}`));
    }
  }));

Deno.test("what is no message is put aside; too much and too many are refused", () =>
  inDirectory(async (dir) => {
    const box = await Mailbox.open(dir, { maxWaiting: 5 });
    const name = (n: number) => `${String(n).padStart(20, "0")}-${crypto.randomUUID()}.json`;
    await Deno.writeTextFile(`${dir}/new/${name(1)}`, "{");
    await Deno.writeTextFile(`${dir}/new/${name(2)}`, '{"id":"x"}');
    await Deno.symlink("/etc/passwd", `${dir}/new/${name(3)}`);
    await Deno.writeFile(`${dir}/new/${name(4)}`, new Uint8Array(2 * 1024 * 1024));
    await Deno.writeTextFile(`${dir}/new/.hidden`, "no name of a message");
    await box.deliver(mail("whole"));
    await assert.rejects(box.deliver(mail("more")), { code: "mailbox-full" });
    assert.deepEqual(ids(await box.drain()), ["whole"]);
    assert.equal([...Deno.readDirSync(`${dir}/corrupt`)].length, 4);
    await assert.rejects(box.deliver(mail("big", { body: "x".repeat(1_100_000) })), {
      code: "too-large",
    });
    assert.deepEqual([...Deno.readDirSync(`${dir}/tmp`)], []);
    const seen = new Seen(3);
    assert.deepEqual(["a", "a", "b", "c", "d", "b", "a"].map((id) => seen.add(id)), [
      ...[true, false, true, true, true, false, true],
    ]);
  }));

const TOKENS: Readonly<Record<string, string>> = {
  ann: "token of ann",
  bob: "token of bob",
  "bob#mcp": "token of bob",
  hub: "token of hub",
};

function broker(dir: string, change: Partial<BrokerOptions> = {}): Promise<Broker> {
  return Broker.start({
    socket: `${dir}/broker.sock`,
    root: `${dir}/boxes`,
    tokenOf: (agent) => TOKENS[agent] ?? null,
    ...change,
  });
}

function client(
  dir: string,
  agent: string,
  onMessage?: (message: MailMessage) => Promise<void>,
  onCancel?: (id: string) => void,
): Promise<MailClient> {
  return MailClient.connect({
    ...{ socket: `${dir}/broker.sock`, agent, token: TOKENS[agent] ?? "none" },
    ...(onMessage === undefined ? {} : { onMessage }),
    ...(onCancel === undefined ? {} : { onCancel }),
  });
}

/** Speaks by hand. */
async function raw(dir: string, ...lines: readonly string[]): Promise<string> {
  const connection = await Deno.connect({ transport: "unix", path: `${dir}/broker.sock` });
  const writer = connection.writable.getWriter();
  writer.closed.catch(() => {});
  const written = writer.write(new TextEncoder().encode(lines.join("\n") + "\n")).catch(() => {});
  let text = "";
  try {
    for await (const chunk of connection.readable) text += new TextDecoder().decode(chunk);
  } catch (thrown) {
    // It was ended before it had been read to its end.
    if (!(thrown instanceof Deno.errors.ConnectionReset)) throw thrown;
  }
  await written;
  try {
    connection.close();
  } catch {
    // Closed by its end.
  }
  return text;
}

Deno.test("the broker lets in who is known, says who it is from, and keeps what nobody reads yet", () =>
  inDirectory(async (dir) => {
    await using _ = await broker(dir, { mayDeliver: (from, to) => `${from}>${to}` !== "bob>ann" });
    await using ann = await client(dir, "ann");
    await ann.deliver("bob", mail("1", { from: { session_id: "hub", role: "boss" } }));
    const got: MailMessage[] = [];
    await using bob = await client(
      dir,
      "bob",
      (message) => Promise.resolve(void got.push(message)),
    );
    await ann.deliver("bob", mail("2"));
    // The same again, as after a lost receipt: it is taken once.
    await ann.deliver("bob", mail("2"));
    await ann.deliver("bob", mail("3"));
    await until(() => got.length === 3, "three messages");
    assert.deepEqual(got.map(({ id, from }) => [id, from.session_id]), [
      ["1", "ann"],
      ["2", "ann"],
      ["3", "ann"],
    ]);
    await until(async () => {
      return (await Array.fromAsync(Deno.readDir(`${dir}/boxes/bob/cur`))).length === 0;
    }, "all are acknowledged");
    for (const to of ["ann", "nobody"]) {
      await assert.rejects(bob.deliver(to, mail("4")), { code: "refused" });
    }
    await assert.rejects(client(dir, "eve"), { code: "refused" });
    const wrong = MailClient.connect({ socket: `${dir}/broker.sock`, agent: "ann", token: "x" });
    await assert.rejects(wrong, { code: "refused" });
    for (
      const first of [
        '{"kind":"subscribe"}',
        "no json",
        '{"kind":"hello","agent":"ann","token":""}',
        '{"kind":"hello","agent":"eve","token":""}',
      ]
    ) {
      const answer = await raw(dir, first, '{"kind":"subscribe"}');
      assert.match(answer, /^\{"kind":"error","reason":"(not known|it is no frame)"\}\n$/, first);
    }
    // A line without end costs a megabyte, not all there is.
    assert.equal(await raw(dir, "x".repeat(3 * 1024 * 1024)), "");
  }));

Deno.test("a broker that is replaced has everything that it confirmed, and its agents come back", () =>
  inDirectory(async (dir) => {
    let hub = await broker(dir);
    const got: string[] = [];
    let fails = true;
    await using ann = await client(dir, "ann");
    await using _ = await client(dir, "bob", (message) => {
      if (message.id === "2" && fails) return Promise.reject(new Error("not now"));
      got.push(message.id);
      return Promise.resolve();
    });
    await ann.deliver("bob", mail("1"));
    await ann.deliver("bob", mail("2"));
    await until(() => got.length === 1, "the first");
    await hub[Symbol.asyncDispose]();
    fails = false;
    // On its way while nobody is there: it goes with the next connection.
    const third = ann.deliver("bob", mail("3"));
    hub = await broker(dir);
    await third;
    await until(() => got.length === 3, "what was not dealt with comes again");
    assert.deepEqual(got.toSorted(), ["1", "2", "3"]);
    await hub[Symbol.asyncDispose]();
    // Five tries, and then everything that waits fails.
    await assert.rejects(ann.deliver("bob", mail("4")), { code: "broker-gone" });
  }));

Deno.test("limits of the broker: frames a second, what a reader has at one time, connections", () =>
  inDirectory(async (dir) => {
    const limits = { rate: 1, burst: 20, unacknowledged: 3, connections: 3, waiting: 8 };
    await using _ = await broker(dir, { limits });
    const seen: string[] = [];
    const held: (() => void)[] = [];
    await using ann = await client(dir, "ann");
    await using _bob = await client(dir, "bob", (message) => {
      seen.push(message.id);
      return new Promise((resolve) => held.push(resolve));
    });
    for (let n = 0; n < 6; n++) await ann.deliver("bob", mail(String(n)));
    await until(() => seen.length === 3, "three at one time");
    held.shift()!();
    await until(() => seen.length === 4, "one more for one that is done");
    const hello = JSON.stringify({ kind: "hello", agent: "hub", token: TOKENS["hub"] });
    const flood = Array.from({ length: 100 }, () => '{"kind":"ack","id":"x"}');
    assert.match(await raw(dir, hello, ...flood), /"welcome".*\n.*too many frames/);
    // The connection before has gone a moment after its end was seen.
    const others: MailClient[] = [];
    await until(async () => {
      const other = await client(dir, "hub").catch(() => null);
      if (other !== null) others.push(other);
      return other !== null;
    }, "there is room for one more");
    assert.match(await raw(dir, hello), /too many connections/);
    for (const other of others) await other[Symbol.asyncDispose]();
    for (const release of held) release();
  }));

Deno.test("MCP over mail: a worker sees and calls what its orchestrator offers it, and no more", () =>
  inDirectory(async (dir) => {
    await using _ = await broker(dir);
    const tool = (name: string) => ({ name, inputSchema: { type: "object" } });
    let aborted = false;
    const began = Promise.withResolvers<void>();
    const calls: string[] = [];
    await using _hub = await serveMcp({
      ...{ socket: `${dir}/broker.sock`, agent: "hub", token: TOKENS["hub"]! },
      toolsFor: (child) => child === "bob" ? [tool("echo"), tool("slow"), tool("fails")] : [],
      call: async ({ childId, tool, input }, signal) => {
        calls.push(`${childId} ${tool}`);
        if (tool === "fails") throw new Error("no such row");
        if (tool === "echo") return { success: true, result: JSON.stringify(input) };
        began.resolve();
        await new Promise<void>((resolve) =>
          signal.addEventListener("abort", () => resolve(), { once: true })
        );
        aborted = true;
        return { success: false, result: "" };
      },
    });
    await using mcp = await McpOverMail.connect({
      ...{ socket: `${dir}/broker.sock`, token: TOKENS["bob#mcp"]! },
      ...{ childId: "bob", orchestrator: "hub" },
    });
    assert.deepEqual((await mcp.manifest()).map(({ name }) => name), ["echo", "slow", "fails"]);
    const stop = new AbortController();
    const slow = mcp.call("slow", {}, stop.signal);
    await began.promise;
    // One that is slow holds no other up.
    const many = Array.from({ length: 20 }, (_, n) => mcp.call("echo", { n }));
    assert.deepEqual(
      (await Promise.all(many)).map(({ result }) => JSON.parse(result).n),
      Array.from({ length: 20 }, (_, n) => n),
    );
    assert.deepEqual(await mcp.call("fails", {}), { success: false, result: "no such row" });
    const other = await mcp.call("drop", {});
    assert.match(other.result, /not offered/);
    assert.ok(!calls.includes("bob drop"));
    stop.abort(new Error("enough"));
    await assert.rejects(slow, /enough/);
    await until(() => aborted, "the other end hears of it");
    // Another agent's answer is none.
    await using eve = await client(dir, "ann");
    const asked = mcp.call("echo", { n: 1 });
    await eve.deliver("bob#mcp", mail("x", { kind: "mcp_reply", body: { error: "mine" } }));
    assert.equal((await asked).success, true);
  }));
