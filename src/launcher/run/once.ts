// SPDX-License-Identifier: Apache-2.0
import { BureauError, messageOf } from "../../lib/errors.ts";
import { principalHash } from "../../lib/ref/mod.ts";
import { probes } from "../../sandbox/probes/mod.ts";
import type { CheckReport, LauncherBootstrap } from "../api.ts";
import { LauncherError } from "../errors.ts";
import { checkBeside, checkFresh } from "./check.ts";
import { runSandbox } from "./run.ts";

/** The sandbox could not be made. What runs in one may end with any status, but this one is rare. */
export const NOT_MADE = 125;

/** @returns the exit status of this process */
export async function runOnce(bootstrap: LauncherBootstrap): Promise<number> {
  try {
    const { sandbox: request } = bootstrap;
    if (request === undefined) {
      throw new LauncherError("bad-request", "Cannot make a sandbox: the document asks for none");
    }
    if (bootstrap.mode === "run") {
      return await runSandbox(request, bootstrap.run_dir, bootstrap.runtime_dir);
    }
    const results = request.principal === undefined
      ? await checkFresh(request)
      : await checkBeside(bootstrap.run_dir, await principalHash(request.principal));
    const report: CheckReport = {
      principal: request.principal ?? null,
      results: results.map((result) => {
        const { title, defence } = probes.find(({ id }) => id === result.id)!;
        return { ...result, title, defence };
      }),
    };
    console.log(JSON.stringify(report));
    return 0;
  } catch (thrown) {
    // Read by a person: this launcher has no parent that waits for a readiness line.
    console.error(`error: ${messageOf(thrown)}`);
    if (thrown instanceof BureauError && thrown.hint !== undefined) {
      console.error(`hint: ${thrown.hint}`);
    }
    return NOT_MADE;
  }
}
