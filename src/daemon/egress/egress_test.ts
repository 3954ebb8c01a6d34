// SPDX-License-Identifier: Apache-2.0

/** Parser and policy without sockets. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAddress, specialUse } from "./addresses.ts";
import { parseAuthority } from "../../lib/authority.ts";
import { MAX_HEAD_BYTES, parseConnectHead } from "./connect_line.ts";
import { DestinationPolicy } from "./policy.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const HEAD = "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n";

Deno.test("parseConnectHead() reads a request and leaves what follows", () => {
  assert.deepEqual(parseConnectHead(bytes(HEAD + "\x16\x03\x01 tls")), {
    state: "ok",
    target: { host: "api.test", port: 443 },
    length: HEAD.length,
  });
  assert.deepEqual(parseConnectHead(bytes("CONNECT [2001:DB8::1]:80 HTTP/1.1\r\n\r\n")), {
    state: "ok",
    target: { host: "2001:db8::1", port: 80 },
    length: 37,
  });
});

Deno.test("parseConnectHead() refuses what could be read two ways", () => {
  for (
    const text of [
      "GET http://a.test/ HTTP/1.1\r\n\r\n",
      "connect a.test:80 HTTP/1.1\r\n\r\n",
      "CONNECT a.test:80 HTTP/1.0\r\n\r\n",
      "CONNECT  a.test:80 HTTP/1.1\r\n\r\n",
      "CONNECT a.test HTTP/1.1\r\n\r\n",
      "CONNECT a.test:0 HTTP/1.1\r\n\r\n",
      "CONNECT a.test:080 HTTP/1.1\r\n\r\n",
      "CONNECT a.test:65536 HTTP/1.1\r\n\r\n",
      "CONNECT u@a.test:80 HTTP/1.1\r\n\r\n",
      "CONNECT a.test:80/x HTTP/1.1\r\n\r\n",
      "CONNECT a%2etest:80 HTTP/1.1\r\n\r\n",
      "CONNECT a..test:80 HTTP/1.1\r\n\r\n",
      "CONNECT 127.1:80 HTTP/1.1\r\n\r\n",
      "CONNECT 2130706433:80 HTTP/1.1\r\n\r\n",
      "CONNECT 0x7f.0.0.1:80 HTTP/1.1\r\n\r\n",
      "CONNECT 0x7f000001:80 HTTP/1.1\r\n\r\n",
      "CONNECT 127.0.0.01:80 HTTP/1.1\r\n\r\n",
      "CONNECT a.test:80 HTTP/1.1\r\nHost: b.test:80\r\n\r\n",
      "CONNECT a.test:80 HTTP/1.1\r\nHost: a.test:80\r\nHost: a.test:80\r\n\r\n",
      "CONNECT a.test:80 HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
      "CONNECT a.test:80 HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
      "CONNECT a.test:80 HTTP/1.1\nHost: a.test:80\n\n",
      "CONNECT a.test:80 HTTP/1.1\r\n\n",
      "CONNECT a.test:80 HTTP/1.1\r\nX: a\rb\r\n\r\n",
      "CONNECT a.test:80 HTTP/1.1\r\nX: \0\r\n\r\n",
      "\x16\x03\x01",
      "CONNECT a.test:80 HTTP/1.1\r\nX: " + "y".repeat(MAX_HEAD_BYTES),
    ]
  ) {
    assert.equal(parseConnectHead(bytes(text)).state, "bad", JSON.stringify(text));
  }
});

Deno.test("parseConnectHead() says the same however the bytes are cut", () => {
  const piece = fc.constantFrom(
    "CONNECT ",
    "a.test",
    ":443",
    " HTTP/1.1",
    "\r\n",
    "\r",
    "\n",
    "Host: a.test:443",
    "x",
    " ",
    "\0",
    "é",
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((parts) => parts.join("")),
    fc.constant(HEAD + "rest"),
  );
  fc.assert(
    fc.property(text, (whole) => {
      const all = bytes(whole);
      const at = parseConnectHead(all);
      for (let cut = 0; cut < all.length; cut++) {
        const part = parseConnectHead(all.subarray(0, cut));
        // Once decided, more bytes never change it.
        if (part.state !== "more") assert.equal(part.state, at.state);
        if (part.state === "ok") assert.deepEqual(part, at);
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("parseConnectHead() never throws when the bytes are arbitrary", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (data) => void parseConnectHead(data)),
    { numRuns: 2000 },
  );
});

Deno.test("specialUse() knows what leads back inside", () => {
  const inside = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "198.19.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "fe80::1",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
  ];
  for (const text of inside) assert.notEqual(specialUse(parseAddress(text)!), null, text);
  for (const text of ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2a00:1450::1"]) {
    assert.equal(specialUse(parseAddress(text)!), null, text);
  }
});

Deno.test("parseAddress() reads its own bytes back and refuses the rest", () => {
  fc.assert(fc.property(fc.ipV4(), (text) => {
    assert.equal([...parseAddress(text)!].join("."), text);
  }));
  fc.assert(fc.property(fc.ipV6(), (text) => assert.equal(parseAddress(text)!.length, 16)));
  for (
    const text of ["", "1.2.3", "1.2.3.4.5", "01.2.3.4", ":", ":::", "1::2::3", "12345::", "::g"]
  ) {
    assert.equal(parseAddress(text), null, text);
  }
});

Deno.test("DestinationPolicy matches host, suffix and address with their port, and nothing else", () => {
  const policy = new DestinationPolicy([
    "api.test:443",
    "*.cdn.test:443",
    "127.0.0.1:6167",
    "[::1]:80",
    "API2.TEST.:443",
    "bad entry",
    "*:443",
    "*.com:443",
    "*.0.0.1:80",
    "no-port.test",
  ]);
  const ok = (text: string) => policy.match(parseAuthority(text)!)?.text ?? null;
  assert.equal(ok("api.test:443"), "api.test:443");
  assert.equal(ok("API.test.:443"), "api.test:443");
  assert.equal(ok("api2.test:443"), "API2.TEST.:443");
  assert.equal(ok("a.b.cdn.test:443"), "*.cdn.test:443");
  assert.equal(ok("[0:0::1]:80"), "[::1]:80");
  assert.equal(ok("127.0.0.1:6167"), "127.0.0.1:6167");
  for (
    const text of [
      "api.test:80",
      "xapi.test:443",
      "cdn.test:443",
      "xcdn.test:443",
      "127.0.0.1:80",
      "api.test.evil:443",
      "a.com:443",
      "no-port.test:443",
    ]
  ) assert.equal(ok(text), null, text);
  assert.deepEqual(policy.malformed, [
    "bad entry",
    "*:443",
    "*.com:443",
    "*.0.0.1:80",
    "no-port.test",
  ]);
});

Deno.test("DestinationPolicy refuses a private address unless the address itself is named", () => {
  const policy = new DestinationPolicy(["rebound.test:443", "localhost:443", "10.0.0.5:443"]);
  const refusal = (host: string, address: string) =>
    policy.refusal({ host, port: 443 }, parseAddress(address)!);
  assert.equal(refusal("rebound.test", "127.0.0.1"), "loopback");
  assert.equal(refusal("rebound.test", "::ffff:10.0.0.5"), "IPv4-mapped");
  assert.equal(refusal("rebound.test", "10.0.0.6"), "private");
  assert.equal(refusal("rebound.test", "10.0.0.5"), null);
  assert.equal(refusal("rebound.test", "8.8.8.8"), null);
  assert.equal(refusal("localhost", "127.0.0.1"), null);
  assert.equal(refusal("localhost", "10.0.0.6"), "private");
});

Deno.test("DestinationPolicy refuses what is denied, whatever is allowed", () => {
  const policy = new DestinationPolicy(
    ["*.example.test:443", "10.0.0.5:443", "rebound.test:443"],
    ["evil.example.test:443", "10.0.0.5:443"],
  );
  const denied = (text: string) => policy.denied(parseAuthority(text)!)?.text ?? null;
  assert.equal(denied("evil.example.test:443"), "evil.example.test:443");
  assert.equal(denied("EVIL.example.test.:443"), "evil.example.test:443");
  assert.equal(denied("good.example.test:443"), null);
  assert.equal(denied("10.0.0.5:443"), "10.0.0.5:443");
  // A name that leads to what is denied.
  const target = parseAuthority("rebound.test:443")!;
  assert.equal(policy.refusal(target, Uint8Array.of(10, 0, 0, 5)), "denied");
  // An entry that can't be read must not let pass what it was meant to refuse.
  const slip = new DestinationPolicy(["*.example.test:443"], ["evil.example.test"]);
  assert.equal(slip.denied(parseAuthority("good.example.test:443")!)?.text, "evil.example.test");
});
