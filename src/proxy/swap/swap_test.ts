// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes } from "../../lib/bytes.ts";
import { Secrets } from "../scrub.ts";
import { base64Forms, bodyEncoding } from "./encoding.ts";
import { type Place, Placeholders, type Swapper } from "./placeholders.ts";
import { WebSocketSwapper } from "./websocket.ts";

const HERE = "bureau-placeholder-api-0123456789abcdef0123456789abcdeb";
const ALSO = "bureau-placeholder-b-00000000000000000000000000000000";
const ELSEWHERE = "bureau-placeholder-other-ffffffffffffffffffffffffffffffff";
const SECRET = 's3cret/"+ü';
const placeholders = new Placeholders("api.test:443", [
  { placeholder: HERE, value: SECRET },
  { placeholder: ALSO, value: "short" },
  { placeholder: ELSEWHERE, value: null },
]);

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const wrongHost = (error: unknown) =>
  (error as { code?: string }).code === "placeholder-wrong-host";

function throughPieces(
  swapper: { push: Swapper["push"]; end: Swapper["end"] },
  data: Uint8Array,
  cuts: readonly number[],
): Uint8Array {
  const ends = [...cuts.map((cut) => cut % (data.length + 1)), data.length].sort((a, b) => a - b);
  const out: Uint8Array[] = [];
  let at = 0;
  for (const end of ends) {
    out.push(swapper.push(data.slice(at, end)).slice());
    at = end;
  }
  out.push(swapper.end());
  return concatBytes(out);
}

/** Text in which placeholders, and beginnings of them, are frequent. */
const text = (...more: string[]) =>
  fc.array(
    fc.oneof(
      fc.constantFrom(
        HERE,
        ALSO,
        HERE.slice(0, 30),
        HERE.slice(0, -1),
        "b",
        "bureau-",
        "\n",
        ...more,
      ),
      fc.string({ maxLength: 6 }),
    ),
    { maxLength: 12 },
  ).map((parts) => parts.join(""));
const cuts = fc.array(fc.nat(2000), { maxLength: 8 });

Deno.test("stream() swaps the same however the bytes are cut", () => {
  fc.assert(
    fc.property(text(), cuts, (given, where) => {
      const wanted = given.replaceAll(HERE, SECRET).replaceAll(ALSO, "short");
      const got = throughPieces(placeholders.stream("raw"), encode(given), where);
      assert.equal(decode(got), decode(encode(wanted)));
    }),
    { numRuns: 2000 },
  );
  // Every cut of one.
  const data = encode(`x${HERE}y`);
  for (let cut = 0; cut <= data.length; cut++) {
    assert.equal(decode(throughPieces(placeholders.stream("raw"), data, [cut])), `x${SECRET}y`);
  }
});

Deno.test("stream() lets nothing past that belongs to another host, however it is cut", () => {
  fc.assert(fc.property(text(), text(), cuts, (before, after, where) => {
    const data = encode(`${before}|${ELSEWHERE}${after}`);
    assert.throws(() => throughPieces(placeholders.stream("raw"), data, where), wrongHost);
  }));
  // The control: without it the same passes.
  fc.assert(fc.property(text(), cuts, (given, where) => {
    throughPieces(placeholders.stream("raw"), encode(given), where);
  }));
});

Deno.test("stream() holds back no more than what may be a placeholder", () => {
  const swapper = placeholders.stream("raw");
  assert.equal(decode(swapper.push(encode("event: one\n\n"))), "event: one\n\n");
  assert.equal(decode(swapper.push(encode("token bureau-place"))), "token ");
  assert.equal(decode(swapper.push(encode(" of none"))), "bureau-place of none");
});

Deno.test("a secret is written as its place needs it", () => {
  const json = throughPieces(placeholders.stream("json"), encode(`{"k":"${HERE}"}`), [9]);
  assert.equal(JSON.parse(decode(json)).k, SECRET);
  const form = throughPieces(placeholders.stream("url"), encode(`a=1&k=${HERE}`), [20]);
  assert.equal(new URLSearchParams(decode(form)).get("k"), SECRET);
  const url = new URL(`https://x${placeholders.inText(`/bot${HERE}/x?k=${HERE}`, "url")}`);
  assert.equal(url.searchParams.get("k"), SECRET);
  assert.equal(decodeURIComponent(url.pathname), `/bot${SECRET}/x`);
  const over = HERE.replaceAll("-", "%2D");
  assert.equal(placeholders.inText(`?k=${over}`, "url"), `?k=${encodeURIComponent(SECRET)}`);
  for (
    const [type, encoding] of [
      ["application/json; charset=utf-8", "json"],
      ["application/vnd.api+json", "json"],
      ["Application/X-WWW-Form-Urlencoded", "url"],
      ["text/plain", "raw"],
      ["", "raw"],
    ]
  ) assert.equal(bodyEncoding(type!), encoding, type);
});

Deno.test("inHeader() looks into Basic authorization, and writes no further header", () => {
  const utf8 = (latin: string) => decode(Uint8Array.from(latin, (c) => c.charCodeAt(0)));
  assert.equal(utf8(placeholders.inHeader(`token ${HERE}`)), `token ${SECRET}`);
  const basic = placeholders.inHeader(`Basic ${btoa(`user:${HERE}`)}`);
  assert.equal(utf8(atob(basic.slice("Basic ".length))), `user:${SECRET}`);
  const untouched = `Basic ${btoa("user:password")}`;
  assert.equal(placeholders.inHeader(untouched), untouched);
  assert.throws(() => placeholders.inHeader(`Basic ${btoa(`user:${ELSEWHERE}`)}`), wrongHost);
  assert.throws(() => placeholders.inHeader(`x ${ELSEWHERE}`), wrongHost);
  assert.throws(() => placeholders.inText(`/${ELSEWHERE}`, "url"), wrongHost);
  const line = new Placeholders("a", [{ placeholder: HERE, value: "a\r\nX-Evil: 1" }]);
  assert.throws(() => line.inHeader(HERE), /line break/);
  assert.throws(() => line.inHeader(`Basic ${btoa(`u:${HERE}`)}`), /line break/);
});

Deno.test("base64Forms() find a secret in whatever it is encoded with", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 9 }), fc.string({ maxLength: 9 }), (before, after) => {
      const secret = "correct-horse-battery";
      const secrets = new Secrets(base64Forms(secret));
      const bytes = encode(encode(before + secret + after).toBase64());
      secrets.scrubWhole(bytes);
      assert.match(decode(bytes), /\*{20}/);
    }),
  );
});

interface Sent {
  readonly fin: boolean;
  readonly opcode: number;
  readonly text: string;
}

function frame({ fin, opcode, text }: Sent): Uint8Array {
  const payload = encode(text);
  const mask = Uint8Array.of(1, 2, 3, 4);
  const head = payload.length < 126
    ? [0x80 | payload.length]
    : [0x80 | 126, payload.length >> 8, payload.length & 0xff];
  return Uint8Array.of(
    (fin ? 0x80 : 0) | opcode,
    ...head,
    ...mask,
    ...payload.map((byte, at) => byte ^ mask[at & 3]!),
  );
}

/** Messages and control frames, as a server reads them. */
function read(bytes: Uint8Array): { opcode: number; text: string }[] {
  const messages: { opcode: number; text: string }[] = [];
  let open: { opcode: number; parts: Uint8Array[] } | null = null;
  for (let at = 0; at < bytes.length;) {
    const opcode = bytes[at]! & 15;
    const fin = (bytes[at]! & 0x80) !== 0;
    assert.ok((bytes[at + 1]! & 0x80) !== 0, "masked");
    let length = bytes[at + 1]! & 127;
    at += 2;
    if (length === 126) {
      length = bytes[at]! << 8 | bytes[at + 1]!;
      at += 2;
    }
    const mask = bytes.subarray(at, at + 4);
    const payload = bytes.slice(at + 4, at + 4 + length).map((byte, i) => byte ^ mask[i & 3]!);
    assert.equal(payload.length, length);
    at += 4 + length;
    if (opcode >= 8) {
      messages.push({ opcode, text: decode(payload) });
      continue;
    }
    if (opcode === 0) assert.ok(open !== null, "a continuation continues something");
    else {
      assert.equal(open, null, "a message begins after the last one's end");
      open = { opcode, parts: [] };
    }
    open!.parts.push(payload);
    if (!fin) continue;
    messages.push({ opcode: open!.opcode, text: decode(concatBytes(open!.parts)) });
    open = null;
  }
  return messages;
}

Deno.test("WebSocketSwapper swaps in text messages, whatever their frames and however they are cut", () => {
  const message = fc.record({
    parts: fc.array(text(), { minLength: 1, maxLength: 4 }),
    binary: fc.boolean(),
    ping: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 4 }), cuts, (messages, where) => {
      const sent: Sent[] = [];
      const wanted: { opcode: number; text: string }[] = [];
      for (const { parts, binary, ping } of messages) {
        const opcode = binary ? 2 : 1;
        for (const [at, part] of parts.entries()) {
          sent.push({ fin: at === parts.length - 1, opcode: at === 0 ? opcode : 0, text: part });
          if (ping && at < parts.length - 1) {
            sent.push({ fin: true, opcode: 9, text: "ping" });
            wanted.push({ opcode: 9, text: "ping" });
          }
        }
        const whole = decode(encode(parts.join("")));
        // As the swapper decides it: by what stands in the first frame's first bytes.
        wanted.push({ opcode, text: binary ? whole : swapped(whole) });
      }
      const bytes = concatBytes(sent.map(frame));
      assert.deepEqual(
        read(throughPieces(new WebSocketSwapper(placeholders), bytes, where)).map(plain),
        wanted.map(plain),
      );
    }),
    { numRuns: 500 },
  );
});

const swapped = (given: string) => given.replaceAll(HERE, SECRET).replaceAll(ALSO, "short");
/** A quote may be written for JSON or not. */
const plain = ({ opcode, text }: { opcode: number; text: string }) => ({
  opcode,
  text: text.replaceAll('\\"', '"'),
});

Deno.test("WebSocketSwapper makes one frame of one frame, JSON in JSON, and refuses what it must", () => {
  const through = (sent: Sent) => new WebSocketSwapper(placeholders).push(frame(sent));
  const [message] = read(through({ fin: true, opcode: 1, text: `{"token":"${HERE}"}` }));
  assert.equal(JSON.parse(message!.text).token, SECRET);
  assert.equal(through({ fin: true, opcode: 1, text: "hi" }).length, 8);
  assert.throws(() => through({ fin: true, opcode: 1, text: ELSEWHERE }), wrongHost);
  assert.throws(
    () => new WebSocketSwapper(placeholders).push(Uint8Array.of(0x81, 1, 0x61, 0, 0, 0)),
    /no mask/,
  );
  assert.throws(() => through({ fin: false, opcode: 9, text: "x" }), /control frame/);
});

Deno.test("a credential that belongs into header lines is put nowhere else", () => {
  const placeholder = "bureau-placeholder-k-0123456789abcdef0123456789abcdef";
  const bound = (places?: readonly Place[]) =>
    new Placeholders("h:443", [{ placeholder, value: "s3cret", ...(places ? { places } : {}) }]);
  const headerOnly = bound(["header"]);
  assert.equal(headerOnly.inHeader(`Bearer ${placeholder}`), "Bearer s3cret");
  assert.equal(
    headerOnly.inHeader(`Basic ${btoa(`me:${placeholder}`)}`),
    `Basic ${btoa("me:s3cret")}`,
  );
  const elsewhere = [
    (all: Placeholders) => all.inText(`/x?key=${placeholder}`, "url"),
    (all: Placeholders) => all.stream("json").push(new TextEncoder().encode(placeholder)),
    (all: Placeholders) => all.stream("raw", "message").push(new TextEncoder().encode(placeholder)),
  ];
  for (const put of elsewhere) {
    assert.throws(() => put(headerOnly), { code: "placeholder-wrong-place", status: 403 });
    // Control: without a word about places it is put everywhere.
    const said = put(bound());
    assert.match(typeof said === "string" ? said : new TextDecoder().decode(said), /s3cret/);
  }
});
