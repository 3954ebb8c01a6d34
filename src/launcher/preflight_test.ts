// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { judgeBwrap } from "./preflight.ts";

Deno.test("judgeBwrap() refuses a missing, an old and a setuid bubblewrap", () => {
  assert.equal(judgeBwrap(null, null).severity, "error");
  assert.match(judgeBwrap("bubblewrap 0.7.9", 0o100755).message, /0\.7\.9 is too old/);
  assert.equal(judgeBwrap("bubblewrap 0.12.0", 0o104755).check, "bwrap.setuid");
  for (const version of ["0.8.0", "0.11.0", "0.12.0", "1.0"]) {
    assert.equal(judgeBwrap(`bubblewrap ${version}`, 0o100755).severity, "ok", version);
  }
});
