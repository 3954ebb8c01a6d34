// SPDX-License-Identifier: Apache-2.0

/**
 * A relay by itself: what it takes of memory and of the processor while it is watched and nothing happens,
 * and how soon somebody who comes late sees the whole screen. Relay and cell are the real ones.
 */
import { TestWatcher, until } from "../../src/observe/_session.ts";
import { PaneServer, RelayCell } from "../../src/observe/testing/cell.ts";
import { memoryOf, percentile, report } from "./report.ts";

const JOINS = 200;
const AGENTS = 25;
const IDLE_SECONDS = 20;
/** V8 tidies up some 30 s after the last thing that happened. */
const TIDY_MS = 45_000;

/** A whole screen of colours and wide characters at 200 by 50, drawn anew on each key. */
const PAINTER = `stty -echo raw; while :; do
  printf '\\033[H'; i=1; while [ $i -le 50 ]; do
    printf '\\033[%d;1H\\033[3%dm%03d \\033[1;4%dmbold\\033[0m 日本語 ' $i $((i%8)) $i $(((i+3)%8))
    printf '%0180d' $i; i=$((i+1)); done
  dd bs=1 count=1 >/dev/null 2>&1; done`;
/** Fills the history: screens that differ, as fast as they are drawn. */
const FLOOD = `stty -echo; a=${"0123456789".repeat(280)}; b=${"abcdefghij".repeat(280)}
  while :; do printf '\\033[H%s' $a; sleep 0.002; printf '\\033[H%s' $b; sleep 0.002; done`;

const WRITER = { mode: "readwrite", cols: "200", rows: "50" };

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function base(): Promise<number> {
  await using server = await PaneServer.start(["/bin/cat"]);
  await using relay = await RelayCell.start(server.dir);
  await pause(1_500);
  const { privateMb, pssMb } = await memoryOf(relay.pid);
  const note = `a screen of 120x40 without anything on it; PSS ${pssMb.toFixed(1)} MB`;
  report({ id: "relay.memory.base", value: privateMb, unit: "MB", note });
  return privateMb;
}

async function painted(empty: number): Promise<void> {
  await using server = await PaneServer.start(["/bin/sh", "-c", PAINTER]);
  await using relay = await RelayCell.start(server.dir);
  await using writer = await TestWatcher.attach(relay.socket, WRITER);
  writer.send({ type: "take" });
  for (let draw = 0; draw < 20; draw++) {
    const before = writer.bytes;
    writer.type("x");
    await until("it is drawn", () => writer.bytes > before + 8_000);
  }
  const busy = await memoryOf(relay.pid);
  await pause(TIDY_MS);
  const { privateMb } = await memoryOf(relay.pid);
  const note = "200x50 in colours, drawn twenty times, watched by one, after some quiet; in all " +
    `${privateMb.toFixed(1)} MB, ${busy.privateMb.toFixed(1)} MB just after drawing`;
  report({ id: "relay.memory.terminal", value: privateMb - empty, unit: "MB", note });
  const times: number[] = [];
  let bytes = 0;
  for (let join = 0; join < JOINS; join++) {
    const begin = performance.now();
    let drawn = 0;
    await using late = await TestWatcher.attach(
      relay.socket,
      { mode: "readonly", cols: "200", rows: "50" },
      (watcher) =>
        watcher.onDrawn = ({ kind }) => {
          if (kind === "snapshot") drawn = performance.now();
        },
    );
    await until("a whole screen", () => drawn > 0);
    times.push(drawn - begin);
    bytes = late.bytes;
  }
  report({
    id: "observe.late_join",
    value: percentile(times, 0.99),
    unit: "ms",
    note: `p50 ${percentile(times, 0.5).toFixed(1)} ms; ${JOINS} joins, ${bytes} bytes each, ` +
      "from the connection's beginning to the whole screen",
  });
}

async function full(): Promise<void> {
  await using server = await PaneServer.start(["/bin/sh", "-c", FLOOD]);
  await using relay = await RelayCell.start(server.dir);
  await using watcher = await TestWatcher.attach(relay.socket, WRITER);
  await until("the history is full", () => watcher.offset > 6_000_000, 300_000);
  const { privateMb } = await memoryOf(relay.pid);
  const note = "its history full (2 MiB), during a flood";
  report({ id: "relay.memory.full", value: privateMb, unit: "MB", note });
}

async function idle(): Promise<void> {
  await using all = new AsyncDisposableStack();
  const pids = new Set<number>();
  for (let agent = 0; agent < AGENTS; agent++) {
    const server = all.use(await PaneServer.start(["/bin/cat"]));
    const relay = all.use(await RelayCell.start(server.dir));
    all.use(await TestWatcher.attach(relay.socket, { ...WRITER, mode: "readonly" }));
    for (const pid of await family(relay.pid)) pids.add(pid);
    pids.add(Number(await server.tmux("display-message", "-p", "#{pid}")));
  }
  await pause(TIDY_MS);
  const before = await ran(pids);
  await pause(IDLE_SECONDS * 1000);
  const seconds = (await ran(pids) - before) / 1e9;
  const note =
    `${AGENTS} watched for ${IDLE_SECONDS} s (relay, script, tmux client and server), times ` +
    100 / AGENTS;
  const value = seconds / IDLE_SECONDS / AGENTS * 100 * 100;
  report({ id: "observe.idle", value, unit: "% of a core", note });
}

/** A process and those below it. */
async function family(pid: number): Promise<number[]> {
  const path = `/proc/${pid}/task/${pid}/children`;
  const children = (await Deno.readTextFile(path).catch(() => "")).trim().split(" ").filter(
    Boolean,
  );
  return [pid, ...(await Promise.all(children.map((child) => family(Number(child))))).flat()];
}

/** Nanoseconds on the processor, of all their threads. */
async function ran(pids: ReadonlySet<number>): Promise<number> {
  let sum = 0;
  for (const pid of pids) {
    // Some were there for the start only.
    const threads = await Array.fromAsync(Deno.readDir(`/proc/${pid}/task`)).catch(() => []);
    for (const { name } of threads) {
      const text = await Deno.readTextFile(`/proc/${pid}/task/${name}/schedstat`).catch(() => "0");
      sum += Number(text.split(" ")[0]);
    }
  }
  return sum;
}

await painted(await base());
await full();
await idle();
