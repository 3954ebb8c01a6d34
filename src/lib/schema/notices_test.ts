// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { noticePart, NOTICES, readNotice } from "./mod.ts";

Deno.test("a notice is written and read by its kind; anything else is none", () => {
  const fields = { principal: "bureau/fleet/dev/agent/a", exit_code: undefined, restarting: true };
  const part = noticePart("sandbox_exited", {
    ...fields,
    exit_description: "killed",
    restarts: 2,
  });
  assert.deepEqual(part, {
    "m.bureau.sandbox_exited": {
      version: 1,
      principal: "bureau/fleet/dev/agent/a",
      restarting: true,
      exit_description: "killed",
      restarts: 2,
    },
  });
  const content = { msgtype: "m.notice", body: "it ended", ...part };
  assert.equal(readNotice("sandbox_exited", content)?.restarts, 2);
  assert.equal(readNotice("health_check", content), null);
  const later = { "m.bureau.sandbox_exited": { ...part["m.bureau.sandbox_exited"]!, version: 2 } };
  assert.equal(readNotice("sandbox_exited", later), null);
});

Deno.test("every kind has a version and says of whom it speaks, or is about the machine", () => {
  const machine = [
    "attention",
    "service_directory_updated",
    "daemon_self_update",
    "bureau_version_update",
    "provenance_warning",
  ];
  for (const [kind, schema] of Object.entries(NOTICES)) {
    const issues = schema.safeParse({}).error!.issues.map(({ path }) => path[0]);
    assert.ok(issues.includes("version"), kind);
    assert.equal(issues.includes("principal"), !machine.includes(kind), kind);
  }
});
