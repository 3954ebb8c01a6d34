// SPDX-License-Identifier: Apache-2.0

/**
 * Answers in advance what the programs ask a person who starts them for the first time. In here the person has decided
 * by making the agent; what else stands in the files stays.
 */

/** The tools of the agent's proxy; Codex is told in the script `codex`. */
const MCP_SERVER = "/opt/mcp/serve";

/**
 * @param config the program's own directory; not `.claude` in its home, which the sandbox protects from being written
 * @param workspace where it works, and may
 */
export async function prepare(name: string, config: string, workspace: string): Promise<void> {
  if (name !== "claude") return;
  await Deno.mkdir(config, { recursive: true });
  const path = `${config}/.claude.json`;
  const known = await read(path);
  const projects = fields(known["projects"]);
  await write(path, {
    ...known,
    hasCompletedOnboarding: true,
    theme: known["theme"] ?? "dark",
    bypassPermissionsModeAccepted: true,
    autoUpdates: false,
    // Of the user, not of a project: those are asked about.
    mcpServers: {
      ...fields(known["mcpServers"]),
      bureau: { type: "stdio", command: MCP_SERVER, args: [] },
    },
    projects: {
      ...projects,
      [workspace]: {
        ...fields(projects[workspace]),
        hasTrustDialogAccepted: true,
        hasCompletedProjectOnboarding: true,
      },
    },
  });
  const settings = `${config}/settings.json`;
  await write(settings, { ...await read(settings), skipDangerousModePermissionPrompt: true });
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

/** The program's own file: one that is broken is begun anew, as the program does. */
async function read(path: string): Promise<Record<string, unknown>> {
  try {
    return fields(JSON.parse(await Deno.readTextFile(path)));
  } catch {
    return {};
  }
}

async function write(path: string, value: unknown): Promise<void> {
  await Deno.writeTextFile(`${path}.new`, JSON.stringify(value, null, 2), { mode: 0o600 });
  await Deno.rename(`${path}.new`, path);
}
