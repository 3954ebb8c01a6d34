// SPDX-License-Identifier: Apache-2.0

/** Recordings as files that may be shown: made from `script`, without what is nobody's business, small. */
import assert from "node:assert/strict";
import {
  type CastEvent,
  type CastHeader,
  eventLine,
  headerLine,
  readCast,
} from "../../src/lib/recording/mod.ts";

export interface Recording {
  readonly header: CastHeader;
  readonly events: readonly CastEvent[];
}

/** What comes within so many milliseconds is one event. */
const TOGETHER_MS = 40;
const MAX_BYTES = 66 * 1024;

/** What `script --log-out --log-timing` wrote: the timing's lines are the seconds since the last, and bytes. */
export async function ofScript(
  out: string,
  timing: string,
  header: CastHeader,
): Promise<Recording> {
  const bytes = await Deno.readFile(out);
  // A line of its own stands before the first.
  let place = bytes.indexOf(10) + 1;
  let at = 0;
  const decoder = new TextDecoder();
  const events: CastEvent[] = [];
  for (const line of (await Deno.readTextFile(timing)).trim().split("\n")) {
    const [seconds, count] = line.split(" ").map(Number);
    at += seconds! * 1000;
    const data = decoder.decode(bytes.subarray(place, place += count!), { stream: true });
    events.push({ at, code: "o", data });
  }
  return { header, events };
}

export async function readRecording(text: string): Promise<Recording> {
  const { header, events } = await readCast(ReadableStream.from([new TextEncoder().encode(text)]));
  return { header, events: await Array.fromAsync(events) };
}

/** Other names in the place of this machine's; a longer name before one that is in it. */
export function redact(
  { header, events }: Recording,
  names: readonly (readonly [string, string])[],
): Recording {
  const clean = (text: string) =>
    names.reduce((text, [name, other]) => text.replaceAll(name, other), text);
  const redacted = joined(events).map((event) => ({ ...event, data: clean(event.data) }));
  const all = redacted.map(({ data }) => data).join("");
  for (const secret of [...names.map(([name]) => name), "sk-", "syt_", "/tmp/b-", "/root"]) {
    const at = all.indexOf(secret);
    assert.equal(at, -1, `"${secret}" is in it: ${JSON.stringify(all.slice(at - 80, at + 80))}`);
  }
  return { header: { ...header, title: clean(header.title) }, events: redacted };
}

/** A name may come in two pieces; where lines end it does not. */
function joined(events: readonly CastEvent[]): CastEvent[] {
  const all: CastEvent[] = [];
  for (const event of events) {
    const last = all.at(-1);
    if (last?.code === "o" && event.code === "o" && event.at - last.at < TOGETHER_MS) {
      all[all.length - 1] = { ...last, data: last.data + event.data };
    } else all.push(event);
  }
  return all;
}

export async function writeRecording(path: string, { header, events }: Recording): Promise<void> {
  let text = headerLine(header);
  let before = 0;
  for (const { at, code, data } of events) {
    text += eventLine(at - before, code, data);
    before = at;
  }
  assert.ok(text.length <= MAX_BYTES, `${path} has ${text.length} bytes`);
  await Deno.writeTextFile(path, text);
}
