// SPDX-License-Identifier: Apache-2.0

/**
 * A hostile agent. `hostile.ts SOCKET OUT answers NAME…` asks for each answer of the hostile upstream;
 * `… requests` sends what it can think of; `… slow COUNT`; `… abort COUNT`. What it received lies in OUT, one
 * file each; it prints one JSON object, name → how it ended.
 */
import { bodyOf, bytesOf, exchange, writeAll } from "./raw.ts";
import { requests } from "./requests.ts";

const [socket, out, what, ...words] = Deno.args as [string, string, string, ...string[]];
const report: Record<string, unknown> = {};
await Deno.mkdir(out, { recursive: true });

async function play(name: string, sent: string): Promise<void> {
  const { end, received, line } = await exchange(socket, sent);
  await Deno.writeFile(`${out}/${name}`, received);
  await Deno.writeFile(`${out}/${name}.body`, await bodyOf(received));
  report[name] = `${end}: ${line}`;
}

/** So many at once, however long each takes. */
async function pooled(count: number, width: number, each: (at: number) => Promise<void>) {
  let next = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (next < count) await each(next++);
  }));
}

const SERVICE = Deno.env.get("SERVICE") ?? "hostile";
const POLITE = `GET /http/${SERVICE}/told HTTP/1.1\r\nHost: bureau\r\nConnection: close\r\n\r\n`;

/** Holds `count` connections that say a byte now and then, and is meanwhile a good customer on others. */
async function slow(count: number): Promise<void> {
  const beginnings = [
    "GET /http/hostile/told HTTP/1.1\r\nHost: bureau\r\nX-Slow: ",
    "POST /http/hostile/told HTTP/1.1\r\nHost: bureau\r\nContent-Length: 100000\r\n\r\nx",
    "GET /http/host",
    "POST /http/hostile/told HTTP/1.1\r\nHost: bureau\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nx",
  ];
  const held: Deno.Conn[] = [];
  for (let at = 0; at < count; at++) {
    const connection = await Deno.connect({ transport: "unix", path: socket });
    await writeAll(connection, bytesOf(beginnings[at % beginnings.length]!));
    held.push(connection);
  }
  const times: number[] = [];
  const ends: Record<string, number> = {};
  for (let round = 0; round < 10; round++) {
    await Promise.all(held.map((connection) => writeAll(connection, bytesOf("y")).catch(() => {})));
    const before = performance.now();
    const { line } = await exchange(socket, POLITE);
    times.push(performance.now() - before);
    ends[line] = (ends[line] ?? 0) + 1;
  }
  for (const connection of held) connection.close();
  report["ends"] = ends;
  report["slowest_ms"] = Math.round(Math.max(...times));
}

const EARLY = 100;
const ABORT_DEADLINE_MS = 150_000;

/** Begins and leaves: in the head, in the body, while the answer comes. */
async function abort(count: number): Promise<void> {
  const body = "z".repeat(20_000);
  const post = (path: string, rest: string) =>
    bytesOf(`POST /http/hostile/${path} HTTP/1.1\r\nHost: bureau\r\n${rest}`);
  const length = `Content-Length: 100000\r\n\r\n${body}`;
  const chunks = `Transfer-Encoding: chunked\r\n\r\n4e20\r\n${body}`;
  /** What is sent, and whether to leave only after the upstream has surely begun. */
  const beginnings: [Uint8Array, boolean][] = [
    [bytesOf("POST /http/hostile/told HTTP/1.1\r\nHost: bur"), false],
    [post("told", length), false],
    [post("told", chunks), false],
    [
      bytesOf(`GET /http/hostile/body HTTP/1.1\r\nHost: bureau\r\nX: ${"y".repeat(2000)}\r\n\r\n`),
      true,
    ],
  ];
  /** Left in the middle of both bodies: Deno.serve keeps each of these for as long as it lives. */
  const early = [post("early", length), post("early", chunks)];
  const before = performance.now();
  let done = 0;
  let begun = 0;
  const refusals: Record<string, number> = {};
  await pooled(count, 64, async (at) => {
    const [sent, waits] = at < EARLY
      ? [early[at % early.length]!, true]
      : beginnings[at % beginnings.length]!;
    // The proxy may refuse one of many, and on a busy machine many of them: it is tried again.
    for (
      let wait = 5;
      performance.now() < before + ABORT_DEADLINE_MS;
      wait = Math.min(wait * 2, 500)
    ) {
      try {
        using connection = await Deno.connect({ transport: "unix", path: socket });
        await writeAll(connection, sent);
        if (waits && await connection.read(new Uint8Array(100)) !== null) begun++;
        done++;
        return;
      } catch (thrown) {
        const name = thrown instanceof Error ? thrown.name : String(thrown);
        refusals[name] = (refusals[name] ?? 0) + 1;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  });
  report["refusals"] = refusals;
  report["aborted"] = done;
  report["begun"] = begun;
  report["ms"] = Math.round(performance.now() - before);
  const { line } = await exchange(socket, POLITE);
  report["afterwards"] = line;
}

switch (what) {
  case "answers":
    await pooled(words.length, 4, (at) => {
      const name = words[at]!;
      return play(name, POLITE.replace("told", name));
    });
    break;
  case "requests": {
    const all = Object.entries(requests);
    await pooled(all.length, 4, (at) => play(...all[at]!));
    break;
  }
  case "slow":
    await slow(Number(words[0]));
    break;
  case "abort":
    await abort(Number(words[0]));
}
console.log(JSON.stringify(report));
