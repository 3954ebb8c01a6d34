// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  type CastEvent,
  type CastHeader,
  listRecordings,
  listSecrets,
  readCast,
  readRecording,
} from "../../lib/recording/mod.ts";
import { skip } from "../../lib/testing/skip.ts";
import { until } from "../_session.ts";
import { compressPart } from "./part.ts";
import { Recorder, type RecorderOptions } from "./recorder.ts";
import { FakeScreen } from "./testing/screen.ts";

const PATIENCE_MS = 30_000;
const encode = (text: string) => new TextEncoder().encode(text);

interface Setting extends Partial<RecorderOptions> {
  readonly dir: string;
}

function recorderIn(options: Setting): { recorder: Recorder; screen: FakeScreen; said: string[] } {
  const screen = new FakeScreen();
  const said: string[] = [];
  const recorder = new Recorder({
    principal: "bureau/fleet/dev/agent/scribe",
    screen,
    secrets: null,
    maxBytes: 1e9,
    keepMs: 1e12,
    onTrouble: (message) => said.push(message),
    ...options,
  });
  return { recorder, screen, said };
}

async function inTemp(run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "b-rec-" });
  try {
    await run(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function casts(dir: string): Promise<{ header: CastHeader; events: CastEvent[] }[]> {
  const all = [];
  for (const file of await listRecordings(dir)) {
    const { header, events } = await readCast(readRecording(dir, file));
    all.push({ header, events: await Array.fromAsync(events) });
  }
  return all;
}

const outputOf = (events: readonly CastEvent[]) =>
  events.filter(({ code }) => code === "o").map(({ data }) => data).join("");

Deno.test("a session becomes an asciicast: output, sizes, who watched, the end", () =>
  inTemp(async (dir) => {
    const { recorder } = recorderIn({ dir, exitStatus: () => Promise.resolve(3) });
    recorder.watched({ what: "came", who: "@ops:bureau.local" }, 900);
    recorder.output({ at: 1_000, bytes: encode("one \xe2\x9c") });
    recorder.output({ at: 1_500, bytes: encode("two\r\n") });
    recorder.output({ at: 1_500, bytes: encode("three ✓") });
    recorder.watched({ what: "types", who: "@ops:bureau.local" }, 1_700);
    recorder.resize({ cols: 100, rows: 30 }, 2_000);
    await recorder.ended("the program ended", 4_250);
    const [only, ...others] = await casts(dir);
    assert.equal(others.length, 0);
    assert.deepEqual(only!.header, {
      cols: 80,
      rows: 24,
      startedAt: 1_000,
      title: "bureau/fleet/dev/agent/scribe",
    });
    assert.deepEqual(only!.events.slice(1), [
      { at: 500, code: "o", data: "two\r\nthree ✓" },
      { at: 700, code: "m", data: "@ops:bureau.local has the keyboard" },
      { at: 1_000, code: "r", data: "100x30" },
      { at: 3_250, code: "m", data: "the program ended" },
      { at: 3_250, code: "x", data: "3" },
    ]);
    const [file] = await listRecordings(dir);
    assert.equal(file!.open, false);
    assert.equal((await Deno.stat(`${dir}/${file!.name}`)).mode! & 0o777, 0o640);
  }));

Deno.test("a character that is cut between two writes is whole", () =>
  inTemp(async (dir) => {
    const { recorder } = recorderIn({ dir });
    const bytes = encode("a ✓ b");
    for (const byte of bytes) recorder.output({ at: 1, bytes: Uint8Array.of(byte) });
    await recorder.ended("over", 2);
    assert.equal(outputOf((await casts(dir))[0]!.events), "a ✓ b");
  }));

Deno.test("parts end by size and by age, and each begins with the whole screen", () =>
  inTemp(async (dir) => {
    const { recorder, screen } = recorderIn({ dir, partBytes: 1_000, partMs: 60_000 });
    let at = 1_000;
    for (let count = 0; count < 30; count++) {
      screen.drawn = `screen ${count}`;
      recorder.output({ at: at += 10, bytes: encode(`${count}:`.padEnd(100, ".")) });
    }
    screen.drawn = "the last screen";
    recorder.output({ at: at + 60_000, bytes: encode("late") });
    await recorder.ended("over", at + 60_001);
    const parts = (await casts(dir)).map(({ events }) => outputOf(events));
    assert.equal(parts.length, 5);
    assert.ok(parts[0]!.startsWith("0:."));
    assert.ok(parts[1]!.startsWith("screen 910:."), parts[1]);
    assert.ok(parts[3]!.endsWith("late"));
    assert.equal(parts[4], "the last screen");
    const files = await listRecordings(dir);
    assert.deepEqual(
      files.map(({ part, open }) => [part, open]),
      [1, 2, 3, 4, 5].map((part) => [
        part,
        false,
      ]),
    );
    assert.equal(new Set(files.map(({ session }) => session)).size, 1);
  }));

Deno.test("what is too old or too much goes, the oldest first", () =>
  inTemp(async (dir) => {
    const noise = () => crypto.getRandomValues(new Uint8Array(3_000)).toHex();
    const { recorder } = recorderIn({ dir, partBytes: 5_000, maxBytes: 12_000 });
    for (let count = 0; count < 20; count++) {
      recorder.output({ at: 1_000 + count, bytes: encode(noise()) });
    }
    await recorder.ended("over", 2_000);
    const left = await listRecordings(dir);
    assert.ok(left.length > 1 && left.length < 6, `${left.length} parts`);
    assert.ok(left.reduce((sum, { bytes }) => sum + bytes, 0) <= 12_000);
    assert.equal(left.at(-1)!.part, 21);
    const next = recorderIn({ dir, keepMs: -1 });
    next.recorder.output({ at: 3_000, bytes: encode("x") });
    await next.recorder.ended("over", 3_001);
    assert.equal((await listRecordings(dir)).length, 0);
  }));

Deno.test("a full disk stops the recording with one warning, and it goes on later", () =>
  inTemp(async (dir) => {
    const gone = `${dir}/gone`;
    const { recorder, screen, said } = recorderIn({ dir: gone });
    for (let count = 0; count < 100; count++) recorder.output({ at: 1_000, bytes: encode("x") });
    await until("the warning", () => said.length > 0, PATIENCE_MS);
    const now = Date.now();
    recorder.output({ at: now, bytes: encode("not this") });
    await Deno.mkdir(gone);
    recorder.output({ at: now + 60_000, bytes: encode("nor this") });
    screen.drawn = "what stands there now";
    recorder.output({ at: now + 660_000, bytes: encode("stands on the screen") });
    recorder.output({ at: now + 660_001, bytes: encode(" and more") });
    await recorder.ended("over", now + 660_002);
    assert.equal(said.length, 2, said.join("\n"));
    assert.match(said[0]!, /^recording stopped: /);
    const [only] = await casts(gone);
    assert.equal(outputOf(only!.events), "what stands there now and more");
  }));

Deno.test("what a killed relay left is closed by the next one", () =>
  inTemp(async (dir) => {
    const id = "20261121T150102123Z-ab12cd34.0001";
    const first = recorderIn({ dir });
    first.recorder.output({ at: 1_000, bytes: encode("whole\r\n") });
    await first.recorder.ended("over", 1_001);
    const [file] = await listRecordings(dir);
    const text = await new Response(
      ReadableStream.from(readRecording(dir, file!)),
    ).text();
    // Cut in the middle of its last line; and a compression that was cut short.
    await Deno.writeTextFile(`${dir}/${id}.cast`, `${text}[0.100, "o", "never fin`);
    await Deno.writeTextFile(`${dir}/${id}.cast.gz.new`, "half");
    const both = id.replace("0001", "0002");
    await Deno.writeTextFile(`${dir}/${both}.cast`, text);
    await Deno.copyFile(`${dir}/${file!.name}`, `${dir}/${both}.cast.gz`);
    const next = recorderIn({ dir, recoverMs: 0 });
    const names = async () => (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name);
    await until("all are closed", async () =>
      (await names()).every((name) => /\.gz$/.test(name)), PATIENCE_MS);
    assert.equal((await names()).length, 3);
    const all = await casts(dir);
    assert.deepEqual(
      all.map(({ events }) =>
        outputOf(events)
      ),
      Array(3).fill("whole\r\n"),
    );
    await next.recorder.ended("over", 2_000);
    assert.equal((await names()).length, 3, "without output there is no recording");
  }));

Deno.test("a secret is in no part, however parts begin and end", () =>
  inTemp(async (dir) => {
    const secret = "tok-9f8e7d6c5b4a39281706";
    const secrets = await listSecrets([secret]);
    const run = async (into: string, list: typeof secrets | null) => {
      await Deno.mkdir(into);
      const { recorder, screen } = recorderIn({ dir: into, secrets: list, partBytes: 300 });
      for (let count = 0; count < 40; count++) {
        screen.drawn = `before ${secret} on the screen`;
        const text = `line ${count} ${secret} \r\n`;
        for (let from = 0; from < text.length; from += 7) {
          recorder.output({ at: 1_000 + count, bytes: encode(text.slice(from, from + 7)) });
        }
      }
      await recorder.ended("over", 2_000);
      const all = await casts(into);
      assert.ok(all.length > 3, `${all.length} parts`);
      return all.map(({ events }) => outputOf(events)).join("");
    };
    const shown = await run(`${dir}/with`, secrets);
    assert.ok(!shown.includes(secret));
    assert.ok(shown.includes("*".repeat(secret.length)));
    assert.ok((await run(`${dir}/without`, null)).includes(secret));
  }));

Deno.test("what waits for the rest of a secret is on disk after a quiet moment", () =>
  inTemp(async (dir) => {
    const { recorder } = recorderIn({ dir, secrets: await listSecrets(["abcdefghijklmnop"]) });
    recorder.output({ at: Date.now(), bytes: encode("$ ready") });
    await until("it is there", async () => {
      const [only] = await casts(dir).catch(() => []);
      return only !== undefined && outputOf(only.events) === "$ ready";
    }, PATIENCE_MS);
    await recorder.ended("over", Date.now());
  }));

Deno.test("killed at any moment: what is on disk is the beginning of what was shown", () =>
  inTemp(async (dir) => {
    for (let round = 0; round < 6; round++) {
      const place = `${dir}/${round}`;
      await Deno.mkdir(place);
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-A",
          "--quiet",
          new URL("./testing/writer.ts", import.meta.url).pathname,
          place,
        ],
        stdin: "null",
        stdout: "null",
        stderr: "inherit",
      }).spawn();
      const bytes = async () =>
        (await listRecordings(place)).reduce((sum, file) => sum + file.bytes, 0);
      await until("some output", async () => await bytes() > 2_000 + round * 2_000, PATIENCE_MS);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
      child.kill("SIGKILL");
      await child.status;
      let count = 0;
      const files = await listRecordings(place);
      for (const [index, file] of files.entries()) {
        if (file.open && index % 2 === 0) await compressPart(place, file.id);
        const present = (await listRecordings(place)).find(({ id }) => id === file.id)!;
        // The very first bytes may be missing: then it is empty.
        const cast = await readCast(readRecording(place, present)).catch(() => null);
        if (cast === null) {
          assert.equal(index, files.length - 1);
          continue;
        }
        const shown = outputOf(await Array.fromAsync(cast.events)).replace(
          "\x1b[H\x1b[2Jscreen",
          "",
        );
        for (const line of shown.split("\r\n").slice(0, -1)) assert.equal(line, `${count++} ✓`);
      }
      assert.ok(count > 0);
    }
  }));

async function run(args: string[], env: Record<string, string>): Promise<string> {
  const command = new Deno.Command("asciinema", { args, env, stdin: "null" });
  const { success, stdout, stderr } = await command.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("the player that the format comes from reads it", async (t) => {
  const version = await run(["--version"], {}).catch(() => "");
  if (!/^asciinema ([3-9]|\d\d)/.test(version)) {
    return await skip(
      t,
      "there is no asciinema 3, which Debian 12 does not have (cargo install asciinema)",
    );
  }
  await inTemp(async (dir) => {
    const { recorder } = recorderIn({ dir, partBytes: 200 });
    for (const word of ["one", "\x1b[31mtwo\x1b[0m", "✓ three"]) {
      recorder.output({ at: 1_000, bytes: encode(`${word}\r\n`) });
    }
    recorder.mark("a marker", 1_200);
    recorder.resize({ cols: 90, rows: 25 }, 1_500);
    await recorder.ended("over", 2_000);
    const [file] = await listRecordings(dir);
    const cast = `${dir}/plain.cast`;
    await Deno.writeFile(cast, ReadableStream.from(readRecording(dir, file!)));
    await run(["convert", "--output-format", "txt", cast, `${dir}/out.txt`], { HOME: dir });
    assert.equal((await Deno.readTextFile(`${dir}/out.txt`)).trim(), "one\ntwo\n✓ three");
  });
});
