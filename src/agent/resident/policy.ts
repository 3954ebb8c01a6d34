// SPDX-License-Identifier: Apache-2.0

/**
 * What a spec from elsewhere becomes here. Directories are this machine's, rights no more than this machine's own spec
 * has, limits the shorter of both; what can't be had is refused, so that nobody works with less than they think.
 */
import { BureauError } from "../../lib/errors.ts";
import { stable } from "../parent/stable.ts";
import type { ProvisionSpec, ScopedCredential } from "../provision/mod.ts";

export interface Policy {
  /** What no worker here is given more than. */
  readonly own: ProvisionSpec;
  /** Null: any; sandboxes hold what it does. */
  readonly executor: ProvisionSpec["executor"] | null;
  /** What of this machine a sandbox holds, as it sees it. */
  readonly binds: readonly { readonly dest: string; readonly mode: "ro" | "rw" }[];
}

export class PolicyError extends BureauError {
  override readonly name = "PolicyError";
}

/**
 * @returns what the worker here is told; its `child_id` and `fabric_dir` are for the caller to set
 * @throws {PolicyError} `not-allowed`
 */
export function underPolicy(asked: ProvisionSpec, policy: Policy): ProvisionSpec {
  const { own } = policy;
  refuseDirectories(asked, policy);
  refuseRights(asked, own);
  if (policy.executor !== null && stable(policy.executor) !== stable(asked.executor)) {
    refuse("its executor", `workers there are ${policy.executor.kind}, as it was started`);
  }
  const model = own.model ?? asked.model;
  if (asked.model !== undefined && stable(model) !== stable(asked.model)) {
    refuse("its model", `workers there have ${own.model!.provider}/${own.model!.model}`);
  }
  const workspace = asked.workspace ?? own.workspace;
  const tools = [...new Set([...own.disabled_tools ?? [], ...asked.disabled_tools ?? []])];
  return {
    ...asked,
    ...(model === undefined ? {} : { model }),
    ...(workspace === undefined ? {} : { workspace }),
    ...(tools.length === 0 ? {} : { disabled_tools: tools.sort() }),
    limits: shorter(own.limits, asked.limits),
    // The token is for the worker's own parent to make, who is here.
    secrets: { provider_credentials: credentials(own, asked), worker_auth_token: undefined },
    capabilities: {
      ...asked.capabilities,
      enforce_permissions: asked.capabilities.enforce_permissions ||
        own.capabilities.enforce_permissions,
      guardian_read_only: asked.capabilities.guardian_read_only ||
        own.capabilities.guardian_read_only,
    },
    placement: { kind: "local" },
  };
}

function refuseDirectories(
  { workspace, storage_dir, capabilities }: ProvisionSpec,
  { binds }: Policy,
) {
  const within = (path: string, mode?: "rw") =>
    binds.some((bind) =>
      (path === bind.dest || path.startsWith(`${bind.dest}/`)) && (bind.mode === mode || !mode)
    );
  const has = binds.length === 0
    ? "no directory is bound there"
    : `there are ${binds.map(({ dest }) => dest).join(", ")}`;
  if (workspace !== undefined && !within(workspace)) refuse("its workspace", has);
  if (storage_dir !== undefined && !within(storage_dir, "rw")) refuse("its storage_dir", has);
  const { skills_dir } = capabilities;
  if (skills_dir !== undefined && !within(skills_dir)) refuse("its skills_dir", has);
}

function refuseRights({ capabilities }: ProvisionSpec, own: ProvisionSpec) {
  for (const name of ["bypass", "no_human_approver"] as const) {
    if (capabilities[name] && !own.capabilities[name]) {
      refuse(
        name,
        `whoever runs \`worker serve\` there gives it: --spec with capabilities.${name}`,
      );
    }
  }
  if (capabilities.nested_spawn) {
    refuse(
      "nested_spawn",
      "workers of workers are had on the machine of their parent: leave it out",
    );
  }
  // A socket of the caller's machine.
  if (capabilities.mcp_proxy !== undefined) {
    refuse("mcp_proxy", "servers that it reaches itself go in mcp");
  }
}

type Limits = ProvisionSpec["limits"];

function shorter(own: Limits, asked: Limits): Limits {
  const of = (name: keyof Limits) => {
    const [one, other] = [own[name], asked[name]];
    return one === undefined || other === undefined ? one ?? other : Math.min(one, other);
  };
  return {
    run_timeout_secs: of("run_timeout_secs"),
    idle_timeout_secs: of("idle_timeout_secs"),
    max_rounds: of("max_rounds"),
  };
}

/** This machine's own where it has one: the caller's key is of no use then, and goes nowhere. */
function credentials(own: ProvisionSpec, asked: ProvisionSpec): ScopedCredential[] {
  const ours = own.secrets.provider_credentials;
  const theirs = asked.secrets.provider_credentials
    .filter(({ provider }) => !ours.some((each) => each.provider === provider));
  const provider = (asked.model ?? own.model)?.provider;
  const all = [...ours, ...theirs];
  return provider === undefined
    ? all
    : all.filter((each) => each.provider === provider).slice(0, 1);
}

function refuse(what: string, hint: string): never {
  throw new PolicyError("not-allowed", `${what} is not to be had there`, { hint, status: 403 });
}
