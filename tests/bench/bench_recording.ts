// SPDX-License-Identifier: Apache-2.0

/**
 * What recording costs the relay: CPU for each megabyte that a terminal shows, with and without secrets to
 * look for, packed; and how much an hour of an agent takes on disk.
 */
import { cpuUsage } from "node:process";
import { listRecordings, listSecrets, type SecretList } from "../../src/lib/recording/mod.ts";
import { Recorder } from "../../src/observe/recording/recorder.ts";
import { FakeScreen } from "../../src/observe/recording/testing/screen.ts";
import { report } from "./report.ts";

const MB = 1_000_000;
const SHOWN = 16 * MB;
const PART = 4_096;

const encoder = new TextEncoder();
const secrets = await listSecrets(
  Array.from(
    { length: 12 },
    (_, index) => crypto.getRandomValues(new Uint8Array(8 + 3 * index)).toHex(),
  ),
);

/** Coloured log lines, as build tools write them. */
function logText(bytes: number): Uint8Array {
  let text = "";
  for (let line = 0; text.length < bytes; line++) {
    const id = crypto.getRandomValues(new Uint8Array(4)).toHex();
    text += `\x1b[2m12:${line % 60}\x1b[0m \x1b[32mINFO\x1b[0m request ${id} of \x1b[1mservice-${
      line % 17
    }\x1b[0m took ${line % 977} ms\x1b[K\r\n`;
  }
  return encoder.encode(text);
}

interface Run {
  readonly cpuMs: number;
  readonly raw: number;
  readonly packed: number;
}

async function record(
  list: SecretList | null,
  parts: Iterable<{ at: number; bytes: Uint8Array }>,
): Promise<Run> {
  const dir = await Deno.makeTempDir({ prefix: "b-rec-" });
  try {
    const recorder = new Recorder({
      dir,
      principal: "bureau/fleet/dev/agent/scribe",
      screen: new FakeScreen(),
      secrets: list,
      maxBytes: 1e12,
      keepMs: 1e12,
      partBytes: 1e12,
      onTrouble: (message) => console.error(message),
    });
    const before = cpuUsage();
    let raw = 0;
    let waiting = 0;
    let at = 0;
    for (const part of parts) {
      raw += part.bytes.length;
      ({ at } = part);
      recorder.output(part);
      // The relay draws 512 KiB a second at most: it never comes all at once.
      if ((waiting += part.bytes.length) > 256 * 1024) {
        waiting = 0;
        await new Promise((resolve) => setTimeout(resolve));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    await recorder.ended("over", at);
    const { user, system } = cpuUsage(before);
    const files = await listRecordings(dir);
    if (files.some(({ open }) => open)) throw new Error("it was not packed in time");
    return {
      cpuMs: (user + system) / 1000,
      raw,
      packed: files.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function* flood(): Generator<{ at: number; bytes: Uint8Array }> {
  const text = logText(SHOWN);
  for (let at = 0; at < text.length; at += PART) {
    yield { at: 1e12 + Math.floor(at / 512), bytes: text.slice(at, at + PART) };
  }
}

/**
 * An hour of a coding agent, 20 minutes of which it works: a line that turns eight times a second meanwhile,
 * answers word by word, and what its tools print.
 */
function* hour(): Generator<{ at: number; bytes: Uint8Array }> {
  const tools = logText(400_000);
  const start = 1e12;
  for (let turn = 0; turn < 20 * 60 * 8; turn++) {
    // A minute of work, two of rest.
    const at = start + Math.floor(turn / 480) * 180_000 + (turn % 480) * 125;
    const seconds = Math.floor(turn % 480 / 8);
    const spin = `\x1b[?25l\x1b[38;1H\x1b[35m${"✶✸✹✺"[turn % 4]}\x1b[0m Working… (${seconds}s · ${
      turn * 7
    } tokens)\x1b[K\x1b[40;3H\x1b[?25h`;
    yield { at, bytes: encoder.encode(spin) };
    if (turn % 2 === 0) yield { at: at + 20, bytes: encoder.encode(`word${turn % 2_000} `) };
    if (turn % 60 === 0) {
      const from = turn / 60 * 2_500 % 397_000;
      yield { at: at + 30, bytes: tools.slice(from, from + 2_500) };
    }
  }
}

const warm = await record(secrets, hour());
if (warm.raw === 0) throw new Error("nothing was recorded");
const plain = await record(null, flood());
const sought = await record(secrets, flood());
const perMb = (run: Run) => run.cpuMs / (run.raw / MB);
report({
  id: "recording.cpu",
  value: perMb(sought),
  unit: "ms/MB",
  alternative: { name: "without secrets", value: perMb(plain) },
  note: `${secrets.pieces.length} pieces of secrets, written and packed`,
});
report({ id: "recording.ratio", value: sought.raw / sought.packed, unit: "×", note: "log lines" });
const typical = await record(secrets, hour());
report({
  id: "recording.hour",
  value: typical.packed / 1000,
  unit: "kB",
  alternative: { name: "shown", value: typical.raw / 1000 },
  note: `an hour of an agent that works 20 minutes; ${typical.cpuMs.toFixed(0)} ms of CPU`,
});
