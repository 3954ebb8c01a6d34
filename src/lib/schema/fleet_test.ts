// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { EventType, isKnownType, parseEvent, SchemaError } from "./mod.ts";

const MACHINE = "@bureau/fleet/dev/machine/m:s";

const good = {
  [EventType.machineInfo]: {
    principal: MACHINE,
    hostname: "m",
    kernel_version: "6.1",
    cpu: { model: "x", sockets: 1, cores_per_socket: 2, threads_per_core: 1 },
    memory_total_mb: 1024,
    gpus: [{ vendor: "amd", pci_slot: "0000:01:00.0", driver: "amdgpu", vram_total_bytes: 1 }],
    labels: {},
    daemon_version: "0.1.0",
  },
  [EventType.machineStatus]: {
    principal: MACHINE,
    cpu_percent: 3,
    memory_used_mb: 5,
    sandboxes: { running: 1, idle: 0 },
    uptime_seconds: 9,
    principals: { "@a:s": { cpu_percent: 1, memory_mb: 2, status: "running" } },
  },
  [EventType.machineCordon]: { machine: MACHINE, by: "@o:s", since: 1, stopped: ["@a:s"] },
  [EventType.tokenSigningKey]: { public_key: "0a".repeat(32), machine: MACHINE },
  [EventType.service]: {
    principal: "@svc:s",
    machine: MACHINE,
    capabilities: ["echo"],
    endpoints: { http: "service.sock" },
  },
  [EventType.serviceBinding]: { principal: "@svc:s" },
  [EventType.temporalGrant]: {
    grant: { actions: ["matrix/read"], expires_at: "2026-01-01T00:00:00Z" },
    principal: "@a:s",
  },
  [EventType.credentialRevocation]: {
    machine: "m",
    machine_user_id: MACHINE,
    principals: [],
    credential_keys: [],
    initiated_by: "@o:s",
    initiated_at: "2026-01-01T00:00:00Z",
    account_deactivated: true,
  },
} as const;

for (const [type, content] of Object.entries(good)) {
  Deno.test(`${type} is read whole, and refused when newer, cleared or short of a field`, () => {
    assert.ok(isKnownType(type));
    assert.deepEqual(parseEvent(type, content), content);
    assert.deepEqual(parseEvent(type, { ...content, version: 1 }), { ...content, version: 1 });
    assert.equal(parseEvent(type, {}), null);
    const refused = (change: object, code: string) =>
      assert.throws(
        () => parseEvent(type, { ...content, ...change }),
        (thrown) => thrown instanceof SchemaError && thrown.code === code,
      );
    refused({ version: 2 }, "newer");
    const [first] = Object.keys(content);
    refused({ [first!]: 7.5 }, "malformed");
  });
}

Deno.test("a fraction is no number that an event can hold", () => {
  const status = { ...good[EventType.machineStatus], cpu_percent: 1.5 };
  assert.throws(() => parseEvent(EventType.machineStatus, status), SchemaError);
  const key = { ...good[EventType.tokenSigningKey], public_key: "xyz" };
  assert.throws(() => parseEvent(EventType.tokenSigningKey, key), SchemaError);
});
