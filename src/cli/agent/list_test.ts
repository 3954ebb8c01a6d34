// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { PrincipalView } from "../../daemon/api.ts";
import { agentTable } from "./list.ts";

const VIEW: PrincipalView = {
  principal: "bureau/fleet/dev/agent/scribe",
  user_id: "@bureau/fleet/dev/agent/scribe:bureau.local",
  template: "t",
  desired: "running",
  phase: "running",
  since: Date.now(),
  restarts: 0,
  exit_code: null,
  message: null,
  hint: null,
  room: null,
  watchers: 0,
  egress: { allowed: 0, refused: 0, bytes: 0 },
};

Deno.test("the table of agents says which are frozen, and which are not isolated", () => {
  const notes = (view: Partial<PrincipalView>) => agentTable([{ ...VIEW, ...view }])[1]!;
  assert.doesNotMatch(notes({}), /FROZEN|ISOLATED/);
  assert.match(notes({ frozen: true }), /FROZEN/);
  assert.match(notes({ frozen: true, isolation: "none" }), /NOT ISOLATED FROZEN/);
});
