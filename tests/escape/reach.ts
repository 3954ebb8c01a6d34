// SPDX-License-Identifier: Apache-2.0
import { ROOT } from "../e2e/harness.ts";

let answer: Promise<string | null> | null = null;

/**
 * Why `sandbox run` can't be tried here: root's launcher has a user of its own, who may be unable to read a
 * checkout in root's home (where `up` would make a copy first). null: it can.
 */
export function unreachable(): Promise<string | null> {
  return answer ??= (async () => {
    if (Deno.uid() !== 0) return null;
    const { code, stderr } = await new Deno.Command("sh", {
      args: [`${ROOT}/tasks/bureau`, "sandbox", "run", "--", "true"],
      env: {
        BUREAU_STATE_DIR: "/nonexistent/s",
        BUREAU_RUN_DIR: "/nonexistent/r",
        BUREAU_DENO: Deno.execPath(),
      },
      stdin: "null",
    }).output();
    const said = new TextDecoder().decode(stderr);
    return code !== 0 && /its own user can't read/.test(said) ? said.split("\n")[0]! : null;
  })();
}
