// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { concatBytes } from "../../lib/bytes.ts";
import { Secrets } from "../scrub.ts";
import { type Frame, frameOf, FrameReader, isControl } from "./frames.ts";
import { malformed } from "../http1/head.ts";
import { WebSocketScrubber } from "./websocket_scrub.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const SECRET = "s3cret-key-of-an-api";
const STARS = "*".repeat(SECRET.length);
const SERVER: Frame = {
  final: true,
  opcode: 1,
  reserved: 0,
  mask: new Uint8Array(),
  length: 0,
};
const TEXT = 1;
const PING = 9;

function frame(text: string, opcode = TEXT, final = true): Uint8Array {
  return frameOf(SERVER, opcode, final, encode(text));
}

interface Message {
  readonly opcode: number;
  readonly text: string;
}

/** Messages and control frames, as a client reads them. */
function read(bytes: Uint8Array): Message[] {
  const messages: Message[] = [];
  let open: { opcode: number; parts: Uint8Array[] } | null = null;
  for (
    const { frame, payload, isFirst, isLast } of new FrameReader("server", malformed).push(bytes)
  ) {
    if (isControl(frame)) {
      messages.push({ opcode: frame.opcode, text: decode(payload) });
      continue;
    }
    if (isFirst) assert.equal(frame.opcode === 0, open !== null, "messages don't overlap");
    open ??= { opcode: frame.opcode, parts: [] };
    open.parts.push(payload);
    if (!isLast || !frame.final) continue;
    messages.push({ opcode: open.opcode, text: decode(concatBytes(open.parts)) });
    open = null;
  }
  return messages;
}

const scrubber = () => new WebSocketScrubber(new Secrets([SECRET]));

Deno.test("a message that ends as a secret begins is passed on whole, at once", () => {
  const one = scrubber();
  for (const text of ["it is", "ends in s", `ends in ${SECRET.slice(0, -1)}`, "", SECRET]) {
    const [message, ...rest] = read(one.push(frame(text)));
    assert.deepEqual(rest, []);
    assert.equal(message!.text, text.replace(SECRET, STARS));
  }
});

Deno.test("a secret that frames cut is found, and a ping between them does not wait", () => {
  const one = scrubber();
  const first = one.push(frame(`key: ${SECRET.slice(0, 7)}`, TEXT, false));
  assert.ok(!decode(first).includes("s3cret"));
  assert.deepEqual(read(one.push(frame("?", PING))), [{ opcode: PING, text: "?" }]);
  assert.equal(one.push(frame(SECRET.slice(7, 9), 0, false)).length, 0);
  const last = one.push(frame(`${SECRET.slice(9)}.`, 0));
  assert.deepEqual(read(concatBytes([first, last])), [{ opcode: TEXT, text: `key: ${STARS}.` }]);
  // A control frame has no room for pieces, but for a secret.
  assert.deepEqual(read(one.push(frame(SECRET, PING))), [{ opcode: PING, text: STARS }]);
});

Deno.test("whatever the frames and however they are cut, messages arrive scrubbed, none early, none late", () => {
  const piece = fc.oneof(
    fc.string({ unit: fc.constantFrom("s", "3", "c", "x"), maxLength: 12 }),
    fc.constantFrom(SECRET, SECRET.slice(0, 5), SECRET.slice(5)),
    fc.constant("y".repeat(70_000)),
  );
  const message = fc.record({
    opcode: fc.constantFrom(1, 2),
    parts: fc.array(piece, { minLength: 1, maxLength: 5 }),
    ping: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(200), { maxLength: 20 }),
      (messages, cuts) => {
        const sent: Uint8Array[] = [];
        const wanted: Message[] = [];
        for (const { opcode, parts, ping } of messages) {
          parts.forEach((part, at) => {
            const final = at === parts.length - 1;
            sent.push(frame(part, at === 0 ? opcode : 0, final));
            if (ping && !final) {
              sent.push(frame("ping", PING));
              wanted.push({ opcode: PING, text: "ping" });
            }
          });
          wanted.push({ opcode, text: parts.join("").replaceAll(SECRET, STARS) });
        }
        const one = scrubber();
        const got: Uint8Array[] = [];
        let rest = concatBytes(sent);
        for (const cut of cuts) {
          got.push(one.push(rest.slice(0, cut)));
          rest = rest.slice(cut);
        }
        got.push(one.push(rest));
        // Without `end`: nothing waits for the connection's.
        assert.deepEqual(read(concatBytes(got)), wanted);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("what can't be looked into is refused", () => {
  const refused = (bytes: Uint8Array, why: RegExp) =>
    assert.throws(() => scrubber().push(bytes), (thrown: Error & { code?: string }) => {
      assert.match(thrown.message, why);
      return thrown.code === "bad-upstream-response";
    });
  const masked = frameOf({ ...SERVER, mask: new Uint8Array(4) }, TEXT, true, encode(SECRET));
  refused(masked, /has a mask/);
  refused(frameOf({ ...SERVER, reserved: 0x40 }, TEXT, true, encode("x")), /reserved bit/);
  refused(frame("x", 0), /without having begun/);
  refused(concatBytes([frame("x", TEXT, false), frame("x")]), /begins in another/);
  refused(frame("x", PING, false), /control frame/);
  // Control: the same, as it should be.
  assert.equal(read(scrubber().push(frame("x"))).length, 1);
});
