// SPDX-License-Identifier: Apache-2.0

/** Assignments written straight into Matrix with the operator's key, as the CLI does, without its start-up. */
import { principalHash } from "../../src/lib/ref/mod.ts";
import type { Assignment, Template } from "../../src/lib/schema/events.ts";
import { parseSigningKey, signContent } from "../../src/lib/signature/mod.ts";
import { builtinTemplates, resolveTemplate, templateDigest } from "../../src/lib/template/mod.ts";
import type { Bureau } from "../e2e/harness.ts";
import { matrix } from "../e2e/matrix.ts";

const templates: Record<string, Template> = { ...builtinTemplates };
/** Newer than any before, also within one millisecond. */
let issued = Date.now();

async function room(bureau: Bureau, alias: string): Promise<string> {
  const found = await matrix<{ room_id: string }>(
    bureau,
    `directory/room/${encodeURIComponent(`#${alias}:${bureau.homeserver.serverName}`)}`,
  );
  return encodeURIComponent(found.room_id);
}

/** Publishes a template of the benchmark's own. */
export async function bureauTemplate(
  bureau: Bureau,
  name: string,
  template: Template,
): Promise<void> {
  templates[name] = template;
  const id = await room(bureau, "bureau/template");
  await matrix(bureau, `rooms/${id}/state/m.bureau.template/${name}`, {
    method: "PUT",
    body: template,
  });
}

export interface Prepared {
  /** Host directory bound read-write at /workspace. */
  readonly workspace: string;
  put(): Promise<unknown>;
}

/** Everything but the write itself, so that the write alone is timed. */
export async function signAssignment(
  bureau: Bureau,
  name: string,
  template: string,
  desired: Assignment["desired"],
  change: Partial<Assignment> = {},
): Promise<Prepared> {
  const { user_id } = JSON.parse(
    await Deno.readTextFile(`${bureau.stateDir}/operator/machine-session.json`),
  ) as { user_id: string };
  const { user_id: operator } = JSON.parse(
    await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
  ) as { user_id: string };
  const key = await parseSigningKey(
    JSON.parse(await Deno.readTextFile(`${bureau.stateDir}/operator/signing-key.json`)),
  );
  const localpart = `bureau/fleet/dev/agent/${name}`;
  const workspace = `${bureau.stateDir}/workspaces/${await principalHash(localpart)}`;
  if (desired === "running") {
    await Deno.mkdir(workspace, { recursive: true });
    await Deno.chmod(workspace, 0o777);
    await Deno.remove(`${workspace}/started`).catch(() => {});
  }
  const resolved = await resolveTemplate(`bureau/template:${template}`, (ref) => {
    const found = templates[ref.name];
    if (found === undefined) throw new Error(`no template ${ref.name}`);
    return Promise.resolve(found);
  });
  const content = await signContent({
    version: 1 as const,
    principal: `@${localpart}:${bureau.homeserver.serverName}`,
    machine: user_id,
    template: `bureau/template:${template}`,
    template_digest: await templateDigest(resolved),
    desired,
    variables: { WORKSPACE: workspace },
    issued_by: operator,
    issued_at: ++issued,
    ...change,
  }, key);
  const id = await room(bureau, user_id.slice(1).split(":")[0]!);
  const path = `rooms/${id}/state/m.bureau.assignment/${
    encodeURIComponent(`${localpart}:${bureau.homeserver.serverName}`)
  }`;
  return { workspace, put: () => matrix(bureau, path, { method: "PUT", body: content }) };
}

/** The text of a file once it is there, looked for every millisecond. */
export async function waitForFile(path: string): Promise<string> {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline) {
    try {
      return await Deno.readTextFile(path);
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`${path} did not come`);
}

/** Bare bwrap with the mounts and namespaces of the `base` template. */
export function commandLine(workspace: string, program: readonly string[]): string[] {
  return [
    "--unshare-user",
    "--unshare-all",
    "--die-with-parent",
    "--new-session",
    "--clearenv",
    "--setenv",
    "PATH",
    "/usr/bin:/bin",
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/bin",
    "/bin",
    "--symlink",
    "usr/lib",
    "/lib",
    "--symlink",
    "usr/lib64",
    "/lib64",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--tmpfs",
    "/tmp",
    "--bind",
    workspace,
    "/workspace",
    "--",
    ...program,
  ];
}
