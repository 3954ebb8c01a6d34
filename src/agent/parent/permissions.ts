// SPDX-License-Identifier: Apache-2.0

/** What a worker's process may touch: as little as its spec says, by path, since only the spec knows the paths. */
import { denoArguments } from "../../lib/process/grants.ts";
import { Fabric, socketOf } from "../fabric/mod.ts";
import { type ProvisionSpec, SpecError } from "../provision/mod.ts";
import { UNIX_HOST } from "../../lib/http/client.ts";

/** @returns flags for Deno, beside the static set of `worker` in deno.json */
export async function workerGrants(spec: ProvisionSpec): Promise<string[]> {
  const { executor, fabric_dir, identity, storage_dir, workspace, capabilities } = spec;
  const socket = await new Fabric(fabric_dir).socketPath(identity.child_id);
  const files = [fabric_dir];
  const hosts = [`unix:${socket}`];
  const flags: string[] = [];
  if (executor.kind !== "echo") {
    // A program that it starts may do whatever the sandbox lets it: what is closed here would be closed for nobody.
    flags.push("--allow-run");
    for (const dir of [storage_dir, workspace, capabilities.skills_dir]) {
      if (dir !== undefined) files.push(dir);
    }
    // Runs keep what they have there, where the parent chose no other place.
    if (storage_dir === undefined) files.push("/tmp");
  }
  if (executor.kind === "bamboo_runtime") {
    hosts.push(...modelHosts(spec));
    const door = socketOf(capabilities.spawn_endpoint ?? "");
    if (door !== null) hosts.push(`unix:${door}`, `${UNIX_HOST}:80`);
  }
  const broker = /^(?:unix:)?(\/.+)$/.exec(capabilities.mcp_proxy?.endpoint ?? "")?.[1];
  if (broker !== undefined) {
    files.push(broker);
    hosts.push(`unix:${broker}`);
  }
  // A comma would split one path into two grants.
  if (files.some((path) => path.includes(","))) {
    throw new SpecError("spec-invalid", "a directory's path holds a comma");
  }
  return [
    ...flags,
    // Servers of its own may be anywhere; the sandbox has no network but what it was given.
    capabilities.mcp === undefined ? `--allow-net=${hosts.join(",")}` : "--allow-net",
    `--allow-read=${files.join(",")}`,
    `--allow-write=${files.join(",")}`,
  ];
}

/** Where its models are asked. */
function modelHosts({ secrets }: ProvisionSpec): string[] {
  return secrets.provider_credentials.flatMap(({ provider, provider_type, base_url }) => {
    const isOpenAi = (provider_type ?? provider).toLowerCase().startsWith("openai");
    const url = base_url ?? (isOpenAi ? "https://api.openai.com" : "https://api.anthropic.com");
    if (!URL.canParse(url)) return [];
    const { hostname, port, protocol } = new URL(url);
    return [`${hostname}:${port || (protocol === "http:" ? 80 : 443)}`];
  });
}

/**
 * Everything after the Deno executable that runs a worker. Paths and no secret: other users see it.
 * @param runtime directory of the bundles
 */
export async function workerArguments(spec: ProvisionSpec, runtime: string): Promise<string[]> {
  const args = denoArguments("worker", runtime);
  return args.toSpliced(-1, 0, ...await workerGrants(spec));
}
