// SPDX-License-Identifier: Apache-2.0

/** Other people's programs that agents are made of: which there are, and whether this machine has them. */
import type { Template } from "../../lib/schema/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { table } from "../framework/table.ts";
import type * as results from "./results.ts";

/** `tasks/install.sh` fetches these versions, by the hashes of agent/driver/*.lock. */
export const PROGRAMS: Readonly<Record<string, string>> = {
  claude: "Claude Code, of Anthropic",
  codex: "Codex, of OpenAI",
};

/** Where a template binds a program of this machine from. */
const BOUND = /^\$\{AGENTS_DIR\}\/([^/]+)/;

/** @throws {CliError} `no-program` when the template needs one that is not here */
export async function requirePrograms(
  localpart: string,
  template: Template,
  agentsDir: string | undefined,
): Promise<void> {
  for (const { source } of template.filesystem ?? []) {
    const name = BOUND.exec(source ?? "")?.[1];
    if (name === undefined || agentsDir === undefined) continue;
    const path = `${agentsDir}/${name}`;
    if (!await isMissing(path)) continue;
    throw new CliError("no-program", `Cannot create "${localpart}": there is no "${path}"`, {
      hint: Object.hasOwn(PROGRAMS, name)
        ? `run \`bureau agent install ${name}\`, which fetches ${PROGRAMS[name]}`
        : "`up` puts the programs of the examples there",
    });
  }
}

/** What cannot be looked at may be there: the launcher will say. */
async function isMissing(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return false;
  } catch (thrown) {
    return thrown instanceof Deno.errors.NotFound;
  }
}

/** What is here. The fetching is done by `tasks/install.sh`: this program may start none. */
export const install: CommandHandler<typeof results.install> = async (call) => {
  const wanted = call.args[0];
  if (wanted !== undefined && !Object.hasOwn(PROGRAMS, wanted)) {
    throw new CliError("usage", `Cannot install "${wanted}": it is not known here`, {
      hint: `there are: ${Object.keys(PROGRAMS).join(", ")}`,
    });
  }
  const rows = await Promise.all(
    Object.entries(PROGRAMS).map(async ([name, description]) => {
      const path = `${call.stateDir}/agents/${name}`;
      const version = await Deno.readTextFile(`${path}/VERSION`).catch(() => null);
      return { name, version: version?.trim() ?? null, description };
    }),
  );
  for (
    const line of table(
      ["program", "version", "what it is"],
      rows.map(({ name, version, description }) => [name, version ?? "not here", description]),
    )
  ) call.print(line);
  return { programs: rows };
};
