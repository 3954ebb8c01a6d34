// SPDX-License-Identifier: Apache-2.0

/** A resident in a process of its own, whose workers are its children. Arguments: directory of the bundles, its fabric, a token. */
import { ChildLauncher, workerArguments } from "../../src/agent/parent/mod.ts";
import { RESIDENT_NAME } from "../../src/agent/resident/api.ts";
import { startResident } from "../../src/agent/resident/resident.ts";
import { sha256Hex } from "../../src/lib/canonical/mod.ts";
import { makeSelfMade } from "../../src/lib/certificate/mod.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/log.ts";
import { freePort } from "../e2e/harness.ts";

const [runtime, fabric, token] = Deno.args as [string, string, string];
const launcher = new ChildLauncher(async (spec) => ({
  program: Deno.execPath(),
  args: await workerArguments(spec, runtime),
  env: { HOME: "/nonexistent", DENO_DIR: "/dev/null/none" },
}));
const { announced } = await startResident(
  {
    version: 1,
    mode: "resident",
    listen: `127.0.0.1:${freePort()}`,
    run_dir: fabric,
    state_dir: fabric,
    fabric_dir: fabric,
    launcher: {},
    identity: await makeSelfMade(RESIDENT_NAME, systemClock),
    token_sha256: await sha256Hex(token),
    token: null,
    own: {
      version: 1,
      identity: { child_id: "own" },
      executor: { kind: "echo" },
      fabric_dir: fabric,
    },
    one_executor: false,
    binds: [],
    json: true,
  },
  launcher,
  createLogger("resident", {}, () => {}),
);
console.log(JSON.stringify(announced));
