// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Invocation } from "../framework/command.ts";
import { remoteBy } from "./remote.ts";

const pin = `sha256:${"a1".repeat(32)}`;
const endpoint = "wss://gpu-host:8443";

const ask = (
  flags: Record<string, string>,
  token: string | null = "a-token\n",
  spec: Record<string, unknown> = {},
) =>
  remoteBy(
    { flags } as unknown as Invocation,
    token === null ? { rest: "" } : { rest: "", token },
    spec,
  );

Deno.test("remoteBy() takes wss://HOST:PORT with a pin and a token, and no way that is weaker", () => {
  const spec: Record<string, unknown> = {};
  const remote = ask(
    { remote: endpoint, pin: pin.toUpperCase().replace("SHA", "sha") },
    "t\n",
    spec,
  );
  assert.deepEqual(remote, { address: "gpu-host:8443", pin, token: "t" });
  assert.deepEqual(spec, { placement: { kind: "remote", endpoint } });
  assert.equal(ask({ remote: "wss://[::1]", pin })?.address, "[::1]:443");
  for (
    const other of [
      "ws://gpu-host:8443",
      "https://gpu-host:8443",
      "gpu-host:8443",
      "wss://gpu-host:8443/elsewhere",
      "wss://user@gpu-host:8443",
      "wss://gpu-host:0",
      "wss://a,b:1",
      "",
    ]
  ) assert.throws(() => ask({ remote: other, pin }), /not wss:\/\/HOST:PORT/, other);
  assert.throws(() => ask({ remote: endpoint }), /give --pin/);
  for (const other of ["", "sha256:12", "a1".repeat(32), pin.slice(0, -1), `${pin}0`]) {
    assert.throws(() => ask({ remote: endpoint, pin: other }), /give --pin/);
  }
  assert.throws(() => ask({ remote: endpoint, pin }, null), /--token-file/);
  for (const token of ["", "\n", "two words"]) {
    assert.throws(() => ask({ remote: endpoint, pin }, token), /--token-file/);
  }
});

Deno.test("remoteBy() takes the place from a spec, which a flag overrides; without one there is none", () => {
  const placed = () => ({ placement: { kind: "remote", endpoint } });
  assert.equal(ask({ pin }, "t", placed())?.address, "gpu-host:8443");
  const over = placed();
  assert.equal(ask({ pin, remote: "wss://other:1" }, "t", over)?.address, "other:1");
  assert.deepEqual(over.placement, { kind: "remote", endpoint: "wss://other:1" });
  assert.equal(remoteBy({ flags: {} } as unknown as Invocation, { rest: "" }, {}), undefined);
  assert.throws(() => ask({ pin }), /no other machine is named/);
  assert.throws(() => ask({}), /no other machine is named/);
});
