// SPDX-License-Identifier: Apache-2.0

/**
 * The embedded homeserver: durable state writes per second against a bare handler that does the same
 * durable write, what 500 idle long-polls cost a fresh process, delivery and syncs with 1,000 rooms,
 * beside a real Synapse where one can be had.
 */
import { Server, type User } from "../../src/homeserver/_process.ts";
import { openHomeserver } from "../homeserver/provider.ts";
import { type Latencies, measure } from "./homeserver_latency.ts";
import { clientMemory, makeRooms, ROOMS, syncTimes } from "./homeserver_rooms.ts";
import { memoryOf, percentile, report, skip } from "./report.ts";

const CONNECTIONS = 10;
const ROUNDS = 7;
const ROUND_MS = 1_500;
const POLLS = 500;
const body = (index: number) => JSON.stringify({ version: 1, phase: "running", index });

async function room(server: Server): Promise<{ user: User; path: string }> {
  const user = await server.register("writer");
  const { body: { room_id } } = await user.call("POST", "createRoom", { preset: "private_chat" });
  return { user, path: `/_matrix/client/v3/rooms/${encodeURIComponent(room_id)}/state/m.bench/` };
}

/** Requests a second that `CONNECTIONS` clients get done, one after the other each. */
async function rate(url: string, token: string): Promise<number> {
  let count = 0;
  const end = performance.now() + ROUND_MS;
  await Promise.all(Array.from({ length: CONNECTIONS }, async (_, client) => {
    for (let index = 0; performance.now() < end; index++) {
      const response = await fetch(`${url}${client}-${index % 100}`, {
        method: "PUT",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: body(count),
      });
      await response.text();
      if (!response.ok) throw new Error(`status ${response.status}`);
      count++;
    }
  }));
  return count / (ROUND_MS / 1000);
}

async function puts(): Promise<void> {
  const write = { per_second: 1e6, burst: 1e6 };
  await using server = await Server.start({ rate_limits: { write } });
  const { user, path } = await room(server);
  const grouped = await startBare(true);
  const single = await startBare(false);
  const results: Record<"ours" | "grouped" | "single", number[]> = {
    ours: [],
    grouped: [],
    single: [],
  };
  try {
    await rate(`${server.url}${path}`, user.token);
    await rate(grouped.url, "none");
    await rate(single.url, "none");
    // In turns, so that what else this machine does meets all of them.
    for (let round = 0; round < ROUNDS; round++) {
      results.ours.push(await rate(`${server.url}${path}`, user.token));
      results.grouped.push(await rate(grouped.url, "none"));
      results.single.push(await rate(single.url, "none"));
    }
  } finally {
    await grouped.stop();
    await single.stop();
  }
  const [ours, bare, alone] = [results.ours, results.grouped, results.single]
    .map((sample) => percentile(sample, 0.5)) as [number, number, number];
  report({
    id: "homeserver.put",
    value: ours / alone,
    unit: "×",
    note:
      `${ours.toFixed(0)} PUT/s, ${CONNECTIONS} connections; bare handler, one insert and one ` +
      `commit a request: ${alone.toFixed(0)}/s`,
  });
  report({
    id: "homeserver.put.grouped",
    value: ours / bare,
    unit: "×",
    note: `bare handler, one insert a request, one commit for all that came together: ${
      bare.toFixed(0)
    }/s`,
  });
}

/** WAL and `synchronous=FULL`; grouped: requests that came together share a commit, as in the homeserver. */
const BARE = `
  import { DatabaseSync } from "node:sqlite";
  const [dir, grouped] = Deno.args;
  const db = new DatabaseSync(dir + "/bare.db");
  db.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE events (position INTEGER PRIMARY KEY, key TEXT NOT NULL, json TEXT NOT NULL)");
  const insert = db.prepare("INSERT INTO events (key, json) VALUES (?, ?)");
  let queue = [];
  const flush = () => {
    const batch = queue;
    queue = [];
    db.exec("BEGIN IMMEDIATE");
    for (const [key, json] of batch) insert.run(key, json);
    db.exec("COMMIT");
    for (const [, , done] of batch) done();
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(port) }, async (request) => {
    const key = new URL(request.url).pathname;
    const json = JSON.stringify(await request.json());
    if (grouped === "true") {
      await new Promise((resolve) => {
        if (queue.length === 0) setImmediate(flush);
        queue.push([key, json, resolve]);
      });
    } else insert.run(key, json);
    return Response.json({ event_id: crypto.randomUUID() });
  });
`;

async function startBare(grouped: boolean): Promise<{ url: string; stop(): Promise<void> }> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-h-" });
  await Deno.writeTextFile(`${dir}/bare.js`, BARE);
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", `${dir}/bare.js`, dir, String(grouped)],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const { value } = await process.stdout.getReader().read();
  return {
    url: `http://127.0.0.1:${new TextDecoder().decode(value).trim()}/`,
    async stop() {
      process.kill("SIGKILL");
      await process.status;
      await Deno.remove(dir, { recursive: true });
    },
  };
}

async function polls(): Promise<void> {
  await using server = await Server.start();
  const { user, path } = await room(server);
  const { body: first } = await user.call("GET", "sync?timeout=0");
  // The first sync makes its own news: the user is online.
  const { body: { next_batch } } = await user.call(
    "GET",
    `sync?timeout=0&since=${first.next_batch}`,
  );
  await pause(1_000);
  const before = await memoryOf(server.process.pid);
  const ended = new AbortController();
  let answered = 0;
  const waiting = Array.from({ length: POLLS }, async () => {
    const response = await fetch(
      `${server.url}/_matrix/client/v3/sync?timeout=60000&since=${next_batch}`,
      { headers: { authorization: `Bearer ${user.token}` }, signal: ended.signal },
    );
    await response.text();
    answered++;
  });
  const all = Promise.allSettled(waiting);
  // They are there when each has a connection of its own and none has an answer.
  while (await connections(server.process.pid) < POLLS) await pause(50);
  await pause(2_000);
  if (answered > 0) throw new Error(`${answered} polls did not wait`);
  const during = await memoryOf(server.process.pid);
  // The control: they are real, one write answers all.
  await user.call("PUT", `${path}wake`, { now: true });
  const deadline = performance.now() + 10_000;
  while (answered < POLLS && performance.now() < deadline) await pause(20);
  ended.abort();
  await all;
  if (answered !== POLLS) throw new Error(`only ${answered} of ${POLLS} polls were answered`);
  report({
    id: "homeserver.polls",
    value: during.privateMb - before.privateMb,
    unit: "MB",
    note: `${before.privateMb.toFixed(1)} MB before, ${during.privateMb.toFixed(1)} MB with them`,
  });
}

async function connections(pid: number): Promise<number> {
  let count = 0;
  for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
    const target = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
    if (target.startsWith("socket:")) count++;
  }
  return count;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const UNLIMITED = { per_second: 1e6, burst: 1e6 };

async function latencies(): Promise<Latencies> {
  await using server = await Server.start({ rate_limits: { write: UNLIMITED } });
  const [sender, reader] = [await server.register("sender"), await server.register("reader")];
  return await measure(
    { url: server.url, token: sender.token },
    { url: server.url, token: reader.token },
  );
}

/** The same requests to a Synapse; undefined where there is none. */
async function synapseLatencies(): Promise<Latencies | undefined> {
  const synapse = await openHomeserver("synapse").catch((thrown: Error) => ({
    reason: `Synapse does not start: ${thrown.message.slice(0, 120)}`,
  }));
  if ("reason" in synapse) {
    skip("homeserver.synapse", synapse.reason);
    return undefined;
  }
  try {
    const account = async (name: string) => {
      const { token } = await synapse.registerUser(name);
      return { url: synapse.url, token };
    };
    return await measure(await account("sender"), await account("reader"));
  } finally {
    await synapse.close();
  }
}

async function sideBySide(): Promise<void> {
  const ours = await latencies();
  const theirs = await synapseLatencies();
  const beside = (name: keyof Latencies) =>
    theirs === undefined ? {} : { alternative: { name: "Synapse", value: theirs[name] } };
  report({
    id: "homeserver.put.serial",
    value: ours.serial,
    unit: "PUT/s",
    ...beside("serial"),
    note: "state PUTs of one client, one after the other, each on disk",
  });
  report({
    id: "homeserver.put.parallel",
    value: ours.parallel,
    unit: "PUT/s",
    ...beside("parallel"),
    note: "state PUTs of 32 clients",
  });
  report({
    id: "homeserver.delivery",
    value: ours.delivery,
    unit: "ms",
    ...beside("delivery"),
    note: "100 messages, into a waiting poll",
  });
}

async function manyRooms(): Promise<void> {
  await using server = await Server.start({ rate_limits: { write: UNLIMITED } });
  const user = await server.register("many");
  const account = { url: server.url, token: user.token };
  const { initialMs, incrementalMs, megabytes, events } = await syncTimes(
    account,
    await makeRooms(account),
  );
  const note = `${ROOMS} rooms, ${events} events, ${megabytes.toFixed(1)} MB`;
  report({ id: "homeserver.sync.initial", value: initialMs, unit: "ms", note });
  report({
    id: "homeserver.sync.incremental",
    value: incrementalMs,
    unit: "ms",
    note: "p50 of 50",
  });
  await clientMemory(account, user.id);
}

async function idle(): Promise<void> {
  await using server = await Server.start();
  await pause(2_000);
  const { privateMb, pssMb } = await memoryOf(server.process.pid);
  report({
    id: "homeserver.memory",
    value: privateMb,
    unit: "MB",
    note: `from source, nothing asked yet; PSS ${pssMb.toFixed(1)} MB`,
  });
}

await idle();
await puts();
await polls();
await sideBySide();
await manyRooms();
