// SPDX-License-Identifier: Apache-2.0

/** The gates in a real thread of their own. */
import assert from "node:assert/strict";
import { createLogger } from "../../lib/log.ts";
import type { AskAnswer, AskDecider } from "../asks/types.ts";
import { GateThread, type Thread } from "./gate_thread.ts";
import type { PrincipalGate } from "./gates.ts";

const MODULE = new URL("../../cmd/gate_worker.ts", import.meta.url);
const OK = "HTTP/1.1 200 Connection established\r\n\r\n";

interface Bench {
  readonly gates: GateThread;
  readonly dir: string;
  /** Echoes what it is sent. */
  readonly port: number;
  readonly workers: Worker[];
  readonly log: string[];
}

async function withThread(use: (bench: Bench) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const echo = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const echoing = (async () => {
    for await (const connection of echo) {
      connection.readable.pipeTo(connection.writable).catch(() => {});
    }
  })().catch(() => {});
  const workers: Worker[] = [];
  const log: string[] = [];
  const gates = new GateThread({
    log: createLogger("test", {}, (line) => log.push(line)),
    start: () => {
      const worker = new Worker(MODULE, { type: "module" });
      workers.push(worker);
      return worker as Thread;
    },
  });
  try {
    await use({ gates, dir, port: (echo.addr as Deno.NetAddr).port, workers, log });
  } finally {
    gates.close();
    echo.close();
    await echoing;
    await Deno.remove(dir, { recursive: true });
  }
}

function settings(ask?: AskDecider) {
  const refused: string[] = [];
  return {
    principal: "agent/a",
    log: createLogger("test", {}, () => {}),
    onRefused: (target: { host: string }, code: string) =>
      void refused.push(`${target.host} ${code}`),
    refused,
    ...(ask === undefined ? {} : { ask }),
  };
}

async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!await isTrue()) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function open(path: string, target: string): Promise<[Deno.UnixConn, string]> {
  const connection = await Deno.connect({ transport: "unix", path });
  await connection.write(new TextEncoder().encode(`CONNECT ${target} HTTP/1.1\r\n\r\n`));
  return [connection, await readSome(connection)];
}

async function readSome(connection: Deno.Conn): Promise<string> {
  const buffer = new Uint8Array(4096);
  const length = await connection.read(buffer);
  return new TextDecoder().decode(buffer.subarray(0, length ?? 0));
}

async function serving(gate: PrincipalGate, dir: string, allow: string[]): Promise<string> {
  gate.setPolicy(allow);
  await gate.listen(`${dir}/egress.sock`);
  return `${dir}/egress.sock`;
}

Deno.test("GateThread serves a principal from its thread and tells what it counted", async () => {
  await withThread(async ({ gates, dir, port }) => {
    const told = settings();
    const gate = gates.make(told);
    const target = `127.0.0.1:${port}`;
    const path = await serving(gate, dir, [target]);
    const [connection, answer] = await open(path, target);
    assert.equal(answer, OK);
    await connection.write(new TextEncoder().encode("hello"));
    assert.equal(await readSome(connection), "hello");
    await until("counted", () => gate.counters.bytes === 10 && gate.usage.active === 1);
    assert.deepEqual(gate.usage.hosts[target], { allowed: 1, refused: 0, up: 5, down: 5 });
    // A policy that no longer names it cuts it.
    gate.setPolicy([]);
    assert.equal(await readSome(connection), "");
    connection.close();
    const [refused, why] = await open(path, "example.com:443");
    assert.match(why, /^HTTP\/1\.1 403 /);
    refused.close();
    await until("told", () => told.refused.length === 1);
    assert.deepEqual(told.refused, ["example.com egress-refused"]);
    await assert.rejects(gate.listen(`${dir}/not/there.sock`), /NotFound|No such file/);
    gates.drop(gate);
    await until(
      "dropped",
      async () =>
        await Deno.connect({ transport: "unix", path }).then((connection) => {
          connection.close();
          return false;
        }, () => true),
    );
  });
});

Deno.test("GateThread that crashes is started anew with policy and socket; the daemon lives", async () => {
  await withThread(async ({ gates, dir, port, workers, log }) => {
    const gate = gates.make(settings());
    const target = `127.0.0.1:${port}`;
    const path = await serving(gate, dir, [target]);
    const [old] = await open(path, target);
    await until("counted", () => gate.counters.allowed === 1);
    // No message that the daemon sends: it throws in the thread.
    workers[0]!.postMessage({ kind: "policy", gate: 1, allow: 7 });
    assert.equal(await readSome(old).catch(() => ""), "");
    old.close();
    await until("restarted", async () => {
      const opened = await open(path, target).catch(() => null);
      opened?.[0].close();
      return opened !== null && opened[1] === OK;
    });
    assert.equal(workers.length, 2);
    assert.equal(gates.restarts, 1);
    assert.ok(log.some((line) => line.includes("egress gates ended")));
    // What the first thread counted is not lost.
    await until("counted on", () => gate.counters.allowed >= 2);
  });
});

Deno.test("GateThread holds a connection for a person's answer, and tells when the caller left", async () => {
  await withThread(async ({ gates, dir, port }) => {
    const questions: { signal: AbortSignal; answer(answer: AskAnswer): void }[] = [];
    const gate = gates.make(settings({
      ask: (principal, target, signal) => {
        assert.deepEqual([principal, target], ["agent/a", { host: "127.0.0.1", port }]);
        return new Promise((answer) => questions.push({ signal, answer }));
      },
    }));
    const target = `127.0.0.1:${port}`;
    gate.setPolicy([], [], { hosts: [target], timeoutMs: 60_000 });
    const path = `${dir}/egress.sock`;
    await gate.listen(path);
    const [left, held] = await open(path, target);
    assert.match(held, /^HTTP\/1\.1 102 Processing\r\nBureau-Hold: 60\r\n/);
    await until("asked", () => questions.length === 1);
    left.close();
    await until("told that it left", () => questions[0]!.signal.aborted);
    const [second] = await open(path, target);
    await until("asked again", () => questions.length === 2);
    questions[1]!.answer({ allowed: false, why: "an operator denied it", code: "ask-denied" });
    assert.match(await readSome(second), /^HTTP\/1\.1 403 /);
    second.close();
  });
});
