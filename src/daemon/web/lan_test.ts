// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { systemClock } from "../../lib/clock.ts";
import { fingerprint } from "../../lib/certificate/mod.ts";
import { isLanAddress, makeLan } from "./lan.ts";

Deno.test("isLanAddress() takes addresses of a network, and no name, loopback or group", () => {
  for (const one of ["192.168.1.5", "10.0.0.1", "203.0.113.9", "fd00::5", "2001:db8::1"]) {
    assert.ok(isLanAddress(one), one);
  }
  for (
    const one of [
      "127.0.0.1",
      "127.1.2.3",
      "0.0.0.0",
      "::1",
      "::",
      "224.0.0.1",
      "300.1.1.1",
      "host",
      "1.2.3",
      "",
      "1.2.3.4:5",
    ]
  ) assert.ok(!isLanAddress(one), one);
});

Deno.test("makeLan() makes TLS that whoever trusts its authority gets by, for its address alone", async () => {
  // Loopback stands for an address of a network here.
  const lan = await makeLan("127.0.0.1", 0, systemClock);
  assert.match(await fingerprint(lan.authority), /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert: lan.certificate, key: lan.key, onListen() {} },
    () => new Response("here"),
  );
  const get = async (host: string, ca: string) => {
    const client = Deno.createHttpClient({ caCerts: [ca] });
    try {
      return await (await fetch(`https://${host}:${server.addr.port}/`, { client })).text();
    } finally {
      client.close();
    }
  };
  try {
    assert.equal(await get("127.0.0.1", lan.authority), "here");
    await assert.rejects(get("localhost", lan.authority));
    const another = await makeLan("127.0.0.1", 0, systemClock);
    await assert.rejects(get("127.0.0.1", another.authority));
  } finally {
    await server.shutdown();
  }
});
