// SPDX-License-Identifier: Apache-2.0

/** `status --permissions`: static sets and this machine's grants, as the processes get them. */
import { parseGrants, ROLES } from "../../lib/process/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import type * as results from "./results.ts";

export const describePermissions: CommandHandler<typeof results.permissions> = async (call) => {
  const runtime = `${call.stateDir}/runtime`;
  let grantsText: string;
  let sets: Record<string, Record<string, unknown>>;
  try {
    grantsText = await Deno.readTextFile(`${runtime}/grants.txt`);
    sets = JSON.parse(await Deno.readTextFile(`${runtime}/deno.json`)).permissions;
  } catch (thrown) {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    throw new CliError("not-running", `Cannot find an installed runtime in "${runtime}"`, {
      hint: "start Bureau once with `deno task up`",
    });
  }
  const addresses = {
    LISTEN: "<listen>",
    AUTHORITY: "<authority>",
    HOMESERVER: "<homeserver>",
    REPO: "<repo>",
  };
  const grants = parseGrants(grantsText, {
    STATE: call.stateDir,
    RUN: call.runDir,
    RUNTIME: runtime,
    DENO: `${runtime}/deno`,
    ...addresses,
  });
  const answer: Record<string, { kind: string; value: string; from: "set" | "machine" }[]> = {};
  for (const role of ROLES) {
    const rows = [
      ...Object.entries(sets[role] ?? {}).flatMap(([kind, value]) =>
        (value === true ? ["(all)"] : value as string[]).map((item) => ({
          kind,
          value: item,
          from: "set" as const,
        }))
      ),
      ...grants.filter((grant) => grant.role === role).map((grant) => ({
        kind: grant.flag,
        value: grant.value,
        from: "machine" as const,
      })),
    ];
    answer[role] = rows;
    call.print(role);
    for (const row of rows) call.print(`  ${row.kind.padEnd(6)} ${row.value}`);
  }
  return answer;
};
