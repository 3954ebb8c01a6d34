// SPDX-License-Identifier: Apache-2.0

/** Where a name may not lead, through the whole gate: nothing is even dialled. */
import assert from "node:assert/strict";
import { createLogger } from "../../lib/log.ts";
import { EgressGate } from "./gate.ts";

/** Both ends of each range that security.md names. */
const INSIDE = [
  ...["0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255"],
  ...["127.0.0.0", "127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255"],
  ...["172.16.0.0", "172.31.255.255", "192.0.0.170", "192.0.2.1", "192.88.99.1"],
  ...["192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.1"],
  ...["203.0.113.1", "224.0.0.0", "239.255.255.255", "240.0.0.0", "255.255.255.255"],
  ...["168.63.129.16", "::", "::1", "::7f00:1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"],
  ...["64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378::1"],
  ...["2001:20::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "fc00::1", "fd00:ec2::254"],
  ...["fdff:ffff::1", "fe80::1", "febf::1", "fec0::1", "ff00::1", "ff02::1", "5f00::1", "4000::1"],
];
const OUTSIDE = [
  ...["1.0.0.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"],
  ...["128.0.0.1", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"],
  ...["192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"],
  ...["2001:200::1", "2001:db7::1", "2003::1", "2606:4700::1111", "3ffe::1"],
];

Deno.test("EgressGate dials no special address that a named host leads to, and every ordinary one", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const dialled: string[] = [];
  let address = "";
  const gate = new EgressGate({
    principal: "p",
    log: createLogger("test", {}, () => {}),
    resolve: () => Promise.resolve([address]),
    dial: (to) => {
      dialled.push(to);
      return Promise.reject(new Error("nobody is there"));
    },
  });
  gate.setPolicy(["named.test:443"]);
  try {
    await gate.listen(`${dir}/s`);
    for (const [list, status] of [[INSIDE, 403], [OUTSIDE, 502]] as const) {
      for (address of list) {
        const answer = await ask(`${dir}/s`);
        assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), `${address}: ${answer}`);
      }
    }
    assert.deepEqual(dialled, OUTSIDE);
  } finally {
    gate.close();
    await Deno.remove(dir, { recursive: true });
  }
});

async function ask(path: string): Promise<string> {
  using connection = await Deno.connect({ transport: "unix", path });
  await connection.write(new TextEncoder().encode("CONNECT named.test:443 HTTP/1.1\r\n\r\n"));
  return await new Response(connection.readable).text();
}
