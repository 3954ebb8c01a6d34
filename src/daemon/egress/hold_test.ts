// SPDX-License-Identifier: Apache-2.0

/** The gate while a person is asked. */
import assert from "node:assert/strict";
import { createLogger } from "../../lib/log.ts";
import type { Target } from "../../lib/authority.ts";
import type { AskAnswer } from "../asks/types.ts";
import { EgressGate } from "./gate.ts";

const approved: AskAnswer = { allowed: true, code: "ask-approved", why: "yes" };

interface Bed {
  readonly gate: EgressGate;
  readonly port: number;
  readonly asked: { target: Target; signal: AbortSignal }[];
  readonly answer: (answer: AskAnswer) => void;
  readonly refused: string[];
  open(target: string): Promise<Deno.UnixConn>;
}

async function withGate(use: (bed: Bed) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const echo = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = echo.addr as Deno.NetAddr;
  const echoing = (async () => {
    for await (const connection of echo) {
      connection.readable.pipeTo(connection.writable).catch(() => {});
    }
  })().catch(() => {});
  const asked: Bed["asked"] = [];
  const refused: string[] = [];
  const answers: ((answer: AskAnswer) => void)[] = [];
  const gate = new EgressGate({
    principal: "p",
    log: createLogger("test", {}, () => {}),
    resolve: () => Promise.resolve(["127.0.0.1"]),
    ask: {
      ask: (_, target, signal) => {
        asked.push({ target, signal });
        return new Promise((resolve) => {
          answers.push(resolve);
          signal.addEventListener("abort", () => resolve({ ...approved, allowed: false }));
        });
      },
    },
    onRefused: ({ host }, code) => refused.push(`${host} ${code}`),
  });
  // The address is named, for it is private; the host is what is asked about.
  gate.setPolicy([`127.0.0.1:${port}`], ["bad.test:1"], {
    hosts: [`*:${port}`, "*:1"],
    timeoutMs: 60_000,
  });
  const path = `${dir}/egress.sock`;
  await gate.listen(path);
  try {
    await use({
      gate,
      port,
      asked,
      refused,
      answer: (answer) => answers.shift()!(answer),
      async open(target) {
        const connection = await Deno.connect({ transport: "unix", path });
        await connection.write(new TextEncoder().encode(`CONNECT ${target} HTTP/1.1\r\n\r\n`));
        return connection;
      },
    });
  } finally {
    gate.close();
    echo.close();
    await echoing;
    await Deno.remove(dir, { recursive: true });
  }
}

async function readUntil(connection: Deno.Conn, end: RegExp): Promise<string> {
  let text = "";
  const buffer = new Uint8Array(4096);
  while (!end.test(text)) {
    const n = await connection.read(buffer);
    if (n === null) throw new Error(`ended after ${JSON.stringify(text)}`);
    text += new TextDecoder().decode(buffer.subarray(0, n));
  }
  return text;
}

const HELD = /^HTTP\/1\.1 102 Processing\r\nBureau-Hold: 60\r\n\r\n/;

Deno.test("EgressGate holds a connection, says so, and lets it go with its bytes when it is allowed", async () => {
  await withGate(async ({ open, asked, answer, port }) => {
    using connection = await open(`up.test:${port}`);
    assert.match(await readUntil(connection, /\r\n\r\n$/), HELD);
    assert.deepEqual(asked[0]!.target, { host: "up.test", port });
    // Said too early; kept all the same.
    await connection.write(new TextEncoder().encode("early "));
    answer(approved);
    await readUntil(connection, /200 Connection established\r\n\r\n/);
    await connection.write(new TextEncoder().encode("late"));
    assert.equal((await readUntil(connection, /late$/)).slice(-10), "early late");
  });
});

Deno.test("EgressGate refuses with the answer's own words, and asks nobody about what is decided", async () => {
  await withGate(async ({ open, asked, answer, refused, port }) => {
    using denied = await open(`up.test:${port}`);
    await readUntil(denied, HELD);
    answer({ allowed: false, code: "ask-denied", why: "@op:s denied it", hint: "do without" });
    const text = await readUntil(denied, /}}$/);
    assert.match(text, /403 Forbidden/);
    assert.match(text, /"code":"ask-denied".*@op:s denied it.*"hint":"do without"/);
    using bad = await open("bad.test:1");
    assert.match(await readUntil(bad, /}}$/), /egress-denied/);
    using other = await open("other.test:2");
    assert.match(await readUntil(other, /}}$/), /egress-refused/);
    using allowed = await open(`127.0.0.1:${port}`);
    assert.match(await readUntil(allowed, /\r\n\r\n$/), /^HTTP\/1\.1 200/);
    assert.equal(asked.length, 1);
    assert.deepEqual(refused, [
      "up.test ask-denied",
      "bad.test egress-denied",
      "other.test egress-refused",
    ]);
  });
});

Deno.test("EgressGate notices a caller that leaves while it is held", async () => {
  await withGate(async ({ open, asked, port }) => {
    const connection = await open(`up.test:${port}`);
    await readUntil(connection, HELD);
    const left = new Promise<void>((resolve) =>
      asked[0]!.signal.addEventListener("abort", () => resolve())
    );
    connection.close();
    await left;
  });
});

Deno.test("EgressGate cuts what a person allowed when its time is over or the policy asks no more", async () => {
  await withGate(async ({ gate, open, answer, port }) => {
    const policy = (hosts: string[]) =>
      gate.setPolicy([`127.0.0.1:${port}`], [], { hosts, timeoutMs: 60_000 });
    const opened = async (answered: AskAnswer) => {
      const connection = await open(`up.test:${port}`);
      await readUntil(connection, HELD);
      answer(answered);
      await readUntil(connection, /200 Connection established\r\n\r\n/);
      return connection;
    };
    using over = await opened({ ...approved, until: Date.now() - 1 });
    using lasting = await opened(approved);
    policy([`*:${port}`]);
    assert.equal(await over.read(new Uint8Array(1)), null);
    await lasting.write(new TextEncoder().encode("still"));
    await readUntil(lasting, /still/);
    policy([]);
    assert.equal(await lasting.read(new Uint8Array(1)), null);
  });
});
