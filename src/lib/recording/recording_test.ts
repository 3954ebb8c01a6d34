// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type CastCode,
  type CastEvent,
  eventLine,
  followRecordings,
  headerLine,
  listRecordings,
  parseRecordingName,
  readCast,
  RecordingError,
  recordingId,
} from "./mod.ts";

const encode = (text: string) => new TextEncoder().encode(text);

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Uint8Array, size = 7): Promise<CastEvent[]> {
  return await Array.fromAsync((await readCast(chunked(bytes, size))).events);
}

const HEADER = headerLine({ cols: 80, rows: 24, startedAt: 1_700_000_000_123, title: 'a "b"' });
const events = fc.array(
  fc.tuple(
    fc.integer({ min: 0, max: 1e7 }),
    fc.constantFrom<CastCode>("o", "r", "m", "x"),
    fc.string({ unit: "grapheme" }),
  ),
  { maxLength: 20 },
);

Deno.test("what is written is what is read, however it comes in", () =>
  fc.assert(fc.asyncProperty(events, fc.integer({ min: 1, max: 50 }), async (list, size) => {
    const text = HEADER + list.map((event) => eventLine(...event)).join("");
    const { header, events } = await readCast(chunked(encode(text), size));
    assert.deepEqual(header, { cols: 80, rows: 24, startedAt: 1_700_000_000_123, title: 'a "b"' });
    let at = 0;
    const expected = list.map(([interval, code, data]) => ({ at: at += interval, code, data }));
    assert.deepEqual(await Array.fromAsync(events), expected);
  })));

Deno.test("cut at any byte, a recording is its own beginning", async () => {
  const list: [number, CastCode, string][] = [[0, "o", "one ✓\r\n"], [5, "r", "90x20"], [
    70,
    "o",
    "two",
  ]];
  const bytes = encode(HEADER + list.map((event) => eventLine(...event)).join(""));
  const whole = await read(bytes);
  for (let end = 0; end < bytes.length; end++) {
    const part = await read(bytes.subarray(0, end)).catch((thrown) => {
      assert.ok(thrown instanceof RecordingError && end < HEADER.length);
      return [];
    });
    assert.deepEqual(part, whole.slice(0, part.length));
  }
});

Deno.test("other writers' recordings are read too, and unknown events are passed over", async () => {
  const text = '{"version": 3, "term": {"cols": 90, "rows": 20}, "timestamp": 1504467315}\n' +
    '[1.5, "o", "a"]\n# a comment\n[0.5, "i", "typed"]\n[0.25, "o", "b"]\n';
  const { header, events } = await readCast(chunked(encode(text), 100));
  assert.equal(header.startedAt, 1_504_467_315_000);
  assert.deepEqual(await Array.fromAsync(events), [
    { at: 1_500, code: "o", data: "a" },
    { at: 2_250, code: "o", data: "b" },
  ]);
});

Deno.test("damage ends a recording, and never the reader", () =>
  fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (noise, late) => {
      const bytes = late ? new Uint8Array([...encode(HEADER), ...noise]) : noise;
      try {
        for (const { at } of await read(bytes)) assert.ok(at >= 0);
      } catch (thrown) {
        assert.ok(thrown instanceof RecordingError, String(thrown));
      }
    }),
  ));

Deno.test("names say when, of which session and which part", () => {
  const id = recordingId("ab12cd34", 7, Date.UTC(2026, 10, 21, 15, 1, 2, 123));
  assert.equal(id, "20261121T150102123Z-ab12cd34.0007");
  assert.deepEqual(parseRecordingName(`${id}.cast.gz`), {
    id,
    session: "ab12cd34",
    part: 7,
    started: Date.UTC(2026, 10, 21, 15, 1, 2, 123),
    open: false,
    name: `${id}.cast.gz`,
  });
  for (const other of ["name", `${id}.cast.gz.new`, `../${id}.cast`, `${id}.castx`, "x.cast"]) {
    assert.equal(parseRecordingName(other), null);
  }
});

Deno.test("who follows sees each part once and whole, over rotation and over a new session", async () => {
  const dir = await Deno.makeTempDir({ prefix: "b-rec-" });
  try {
    const stop = new AbortController();
    const seen: string[] = [];
    const looks: (() => void)[] = [];
    let looked = Promise.withResolvers<void>();
    const follower = (async () => {
      const pause = () =>
        new Promise<void>((resolve) => {
          looks.push(resolve);
          looked.resolve();
        });
      for await (const { id, bytes } of followRecordings(dir, stop.signal, pause)) {
        seen.push(`${id.slice(-4)}:${new TextDecoder().decode(bytes)}`);
      }
    })();
    const look = async () => {
      await looked.promise;
      looked = Promise.withResolvers();
      looks.pop()!();
      await looked.promise;
    };
    const path = (part: number, session = "ab12cd34") =>
      `${dir}/${recordingId(session, part, Date.UTC(2026, 0, 1, 0, part))}.cast`;
    await looked.promise;
    await Deno.writeTextFile(path(1), "a");
    await look();
    await Deno.writeTextFile(path(1), "b", { append: true });
    await look();
    await Deno.writeTextFile(path(1), "c", { append: true });
    await Deno.writeTextFile(path(2), "d");
    await look();
    assert.deepEqual(seen, ["0001:a", "0001:b", "0001:c", "0002:d"]);
    // The session ends: what it wrote is compressed; another begins.
    await Deno.writeTextFile(path(2), "e", { append: true });
    const packed = ReadableStream.from([encode("de")]).pipeThrough(new CompressionStream("gzip"));
    await Deno.writeFile(`${path(2)}.gz`, packed);
    await Deno.remove(path(2));
    await look();
    await Deno.writeTextFile(path(3, "0a0b0c0d"), "f");
    await look();
    assert.deepEqual(seen.slice(4), ["0002:e", "0003:f"]);
    assert.deepEqual((await listRecordings(dir)).map(({ open }) => open), [true, false, true]);
    stop.abort();
    looks.pop()!();
    await follower;
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
