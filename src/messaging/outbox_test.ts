// SPDX-License-Identifier: Apache-2.0

/** The outbox against a real homeserver, in processes that are killed, and on its own file. */
import assert from "node:assert/strict";
import { SECRET, Server } from "../homeserver/_process.ts";
import type { Clock } from "../lib/clock.ts";
import {
  createMatrixClient,
  type MatrixClient,
  type Message,
  MessagingError,
  Outbox,
  registerWithSharedSecret,
} from "./mod.ts";

const PROCESS = new URL("_outbox_process.ts", import.meta.url).pathname;

/** Runs the process until it says something, then kills it. @returns what it said */
async function runAndKill(order: object): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", "--cached-only", PROCESS, JSON.stringify(order)],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  try {
    child.kill("SIGKILL");
  } catch {
    // It had come to its end.
  }
  await child.status;
  await reader.cancel();
  return value?.trim() ?? "";
}

Deno.test("Outbox sends each message exactly once, in order, however often its process is killed", async (t) => {
  await using server = await Server.start();
  const session = await registerWithSharedSecret(
    { homeserverUrl: server.url },
    { user: "machine", password: "p" },
    SECRET,
  );
  const token = session.access_token;
  const client = createMatrixClient({ homeserverUrl: server.url, accessToken: token });
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const bodiesIn = async (room: string) =>
    (await client.messages(room, { limit: 100, dir: "f" })).chunk
      .filter(({ type }) => type === "m.room.message").map(({ content }) => content["body"]);
  try {
    for (const at of ["request", "answer"] as const) {
      await t.step(
        `killed ${at === "request" ? "before the request" : "before the mark"}`,
        async () => {
          const room = await client.createRoom({});
          const journal = `${folder}/${at}`;
          const order = { url: server.url, token, room, journal };
          const stop = { at, n: 0 };
          assert.equal(await runAndKill({ ...order, bodies: [at], stop }), "stopped");
          assert.deepEqual(await bodiesIn(room), at === "answer" ? [at] : []);
          assert.equal(await runAndKill({ ...order, bodies: [], stop: null }), "done");
          assert.deepEqual(await bodiesIn(room), [at]);
          // Put once more by a successor that can't know: it was done.
          assert.equal(await runAndKill({ ...order, bodies: [at], stop: null }), "done");
          assert.deepEqual(await bodiesIn(room), [at]);
        },
      );
    }
    await t.step("killed again and again, in the middle of many", async () => {
      const room = await client.createRoom({});
      const bodies = Array.from({ length: 12 }, (_, n) => `many ${n}`);
      const order = { url: server.url, token, room, journal: `${folder}/many` };
      for (const [n, at] of (["answer", "request", "answer"] as const).entries()) {
        const stop = { at, n: n + 1 };
        // Each life puts all: how many an earlier one had put when it was killed can't be known.
        assert.equal(await runAndKill({ ...order, bodies, stop }), "stopped");
      }
      assert.equal(await runAndKill({ ...order, bodies, stop: null }), "done");
      assert.deepEqual(await bodiesIn(room), bodies);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const instant: Clock = {
  now: () => 0,
  sleep: (_, signal) => signal?.aborted ? Promise.reject(signal.reason) : Promise.resolve(),
};

interface Fake {
  readonly client: MatrixClient;
  readonly sent: string[];
  answer: (message: { room: string; txn: string }) => string | MessagingError;
}

function fakeClient(): Fake {
  const fake: Fake = {
    sent: [],
    answer: () => "$1",
    client: {
      lost: new AbortController().signal,
      send(room: string, _type: string, _content: unknown, txn: string) {
        fake.sent.push(txn);
        const answer = fake.answer({ room, txn });
        return typeof answer === "string" ? Promise.resolve(answer) : Promise.reject(answer);
      },
    } as unknown as MatrixClient,
  };
  return fake;
}

const message = (txn: string, room = "!r"): Message => ({
  txn,
  room,
  type: "m.room.message",
  content: { body: txn },
});

async function withOutbox(
  use: (open: (fake: Fake, more?: object) => Promise<Outbox>, path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const path = `${folder}/outbox.jsonl`;
  const stop = new AbortController();
  try {
    await use(
      ({ client }, more = {}) =>
        Outbox.open({
          path,
          client,
          signal: stop.signal,
          clock: instant,
          random: () => 0,
          ...more,
        }),
      path,
    );
  } finally {
    stop.abort();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("Outbox drops what is refused for good, tells of it once, and goes on", async () => {
  await withOutbox(async (open) => {
    const fake = fakeClient();
    fake.answer = ({ txn }) =>
      txn === "bad" ? new MessagingError("forbidden", "no", { status: 403 }) : "$1";
    const refused: string[] = [];
    const onRefused = ({ txn }: Message) => refused.push(txn);
    {
      using outbox = await open(fake, { onRefused });
      for (const txn of ["bad", "good"]) await outbox.put(message(txn));
      await outbox.settled();
    }
    using again = await open(fake, { onRefused });
    await again.settled();
    assert.equal(again.size, 0);
    assert.deepEqual([fake.sent, refused], [["bad", "good"], ["bad"]]);
  });
});

Deno.test("Outbox waits in one room and not in the others, and tries again what passes", async () => {
  await withOutbox(async (open) => {
    const fake = fakeClient();
    let failures = 0;
    const others = Promise.withResolvers<void>();
    fake.answer = ({ room }) => {
      if (room === "!b") others.resolve();
      return room === "!a" && failures++ < 2
        ? new MessagingError("unreachable", "away", { status: 502 })
        : "$1";
    };
    using outbox = await open(fake);
    for (const [txn, room] of [["1", "!a"], ["2", "!a"], ["3", "!b"]] as const) {
      await outbox.put(message(txn, room));
    }
    await others.promise;
    await outbox.settled();
    assert.deepEqual(fake.sent.filter((txn) => txn !== "3"), ["1", "1", "1", "2"]);
    assert.equal(fake.sent.filter((txn) => txn === "3").length, 1);
  });
});

Deno.test("Outbox keeps what waits when its account is lost, and stops", async () => {
  await withOutbox(async (open) => {
    const fake = fakeClient();
    fake.answer = () => new MessagingError("unknown-token", "x", { errcode: "M_UNKNOWN_TOKEN" });
    {
      using outbox = await open(fake);
      await outbox.put(message("1"));
      await outbox.put(message("2"));
      await outbox.settled();
      assert.equal(outbox.size, 2);
      assert.deepEqual(fake.sent, ["1"]);
    }
    const next = fakeClient();
    using outbox = await open(next);
    await outbox.settled();
    assert.deepEqual(next.sent, ["1", "2"]);
  });
});

Deno.test("Outbox takes no more than it can hold", async () => {
  await withOutbox(async (open) => {
    const fake = fakeClient();
    fake.answer = () => new MessagingError("unreachable", "away", { status: 502 });
    const stop = new AbortController();
    const never: Clock = {
      now: () => 0,
      sleep: (_, signal) =>
        new Promise((_, reject) => signal!.addEventListener("abort", () => reject(signal!.reason))),
    };
    using outbox = await open(fake, { maxWaiting: 2, clock: never, signal: stop.signal });
    await Promise.all([outbox.put(message("1")), outbox.put(message("1"))]);
    await outbox.put(message("2"));
    await assert.rejects(outbox.put(message("3")), { code: "outbox-full" });
    const long = { ...message("4"), content: { body: "x".repeat(70_000) } };
    await assert.rejects(outbox.put(long), { code: "too-large" });
    stop.abort();
    await outbox.settled();
    assert.equal(outbox.size, 2);
  });
});

Deno.test("Outbox reads a journal that a crash cut short or a stranger damaged", async () => {
  await withOutbox(async (open, path) => {
    const line = (value: unknown) => `${JSON.stringify(value)}\n`;
    await Deno.writeTextFile(
      path,
      line({ put: message("1") }) + line({ put: message("2") }) + line({ done: "1" }) +
        "null\n7\n{}\n" + line({ put: { txn: 5 } }) +
        JSON.stringify({ put: message("3") }).slice(0, 20),
    );
    const fake = fakeClient();
    using outbox = await open(fake);
    await outbox.put(message("1"));
    await outbox.put(message("4"));
    await outbox.settled();
    assert.deepEqual(fake.sent, ["2", "4"]);
  });
});

Deno.test("Outbox's journal stays short", async () => {
  await withOutbox(async (open, path) => {
    const fake = fakeClient();
    using outbox = await open(fake, { maxWaiting: 10_000 });
    const content = { body: "x".repeat(1_000) };
    for (let n = 0; n < 600; n++) await outbox.put({ ...message(`${n}`), content });
    await outbox.settled();
    assert.equal(fake.sent.length, 600);
    assert.ok((await Deno.stat(path)).size < 300_000);
  });
});
