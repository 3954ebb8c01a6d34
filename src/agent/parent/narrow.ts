// SPDX-License-Identifier: Apache-2.0

/**
 * What a worker may give to a worker of its own: never more than it has. Its own spec is what it has; depth is counted
 * by whoever spawns, never by whoever is spawned.
 */
import {
  type Capabilities,
  completeSpec,
  DEFAULT_SPAWN_DEPTH,
  type ProvisionInput,
  type ProvisionSpec,
  type ScopedCredential,
} from "../provision/mod.ts";
import { ParentError } from "./errors.ts";
import { stable } from "./stable.ts";

/** Who spawns: a worker, by the spec that it was started with; null is the operator, who is nobody's child. */
export type Authority = ProvisionSpec | null;

/**
 * @param asked of the child; what it must not loosen is taken over from `parent`, whatever it says
 * @throws {ParentError} `too-deep`, `not-allowed`
 */
export function narrow(parent: Authority, asked: ProvisionInput): ProvisionSpec {
  const wish = completeSpec(asked);
  const depth = parent === null ? 0 : parent.identity.depth;
  const max = Math.min(maxDepth(parent?.capabilities), maxDepth(wish.capabilities));
  if (depth >= max) {
    throw new ParentError(
      "too-deep",
      `Cannot spawn a worker at depth ${depth + 1}: max_spawn_depth is ${max}`,
      "have a worker further up spawn it",
    );
  }
  const spec: ProvisionSpec = {
    ...wish,
    identity: { ...identityOf(parent, wish), depth: depth + 1 },
    limits: parent === null ? wish.limits : {
      ...wish.limits,
      run_timeout_secs: least(parent.limits.run_timeout_secs, wish.limits.run_timeout_secs),
      max_rounds: least(parent.limits.max_rounds, wish.limits.max_rounds),
    },
    capabilities: {
      ...(parent === null ? wish.capabilities : within(parent, wish.capabilities)),
      max_spawn_depth: max,
    },
  };
  // One that may spawn no further has no use for it; one that only reads gives nobody anything to do.
  if (depth + 1 >= max || spec.capabilities.guardian_read_only) {
    spec.capabilities.nested_spawn = false;
  }
  if (parent !== null) {
    const tools = new Set([...parent.disabled_tools ?? [], ...wish.disabled_tools ?? []]);
    if (tools.size > 0) spec.disabled_tools = [...tools].sort();
    refuseOthersSecrets(parent, wish);
  }
  return leastCredentials(spec);
}

/** Whose it is and for which project says the parent, not the child. */
function identityOf(parent: Authority, { identity }: ProvisionSpec): ProvisionSpec["identity"] {
  if (parent === null) return identity;
  const { child_id, project_key } = parent.identity;
  return { ...identity, parent_id: child_id, project_key };
}

/** Of limits that may be missing. */
function least(own: number | undefined, asked: number | undefined): number | undefined {
  if (own === undefined || asked === undefined) return own ?? asked;
  return Math.min(own, asked);
}

const maxDepth = (capabilities?: Capabilities) =>
  capabilities?.max_spawn_depth ?? DEFAULT_SPAWN_DEPTH;

function within({ capabilities: own }: ProvisionSpec, wish: Capabilities): Capabilities {
  if (!own.nested_spawn) {
    throw new ParentError(
      "not-allowed",
      "Cannot spawn a worker: this one was not given nested_spawn",
      "whoever started it decides that",
    );
  }
  // Each of these lets a worker do more.
  for (const name of ["bypass", "no_human_approver"] as const) {
    if (wish[name] && !own[name]) refuse(name);
  }
  // Where it reaches, and what it learns: the same as its parent, or nothing.
  for (const name of ["mcp", "mcp_proxy", "skills_dir"] as const) {
    if (wish[name] !== undefined && stable(wish[name]) !== stable(own[name])) refuse(name);
  }
  return {
    ...wish,
    // These let it do less, and are handed on.
    enforce_permissions: own.enforce_permissions || wish.enforce_permissions,
    guardian_read_only: own.guardian_read_only || wish.guardian_read_only,
  };
}

function refuse(name: string): never {
  throw new ParentError(
    "not-allowed",
    `Cannot spawn a worker with ${name}: this one does not have it itself`,
    "leave it out",
  );
}

function refuseOthersSecrets(parent: ProvisionSpec, wish: ProvisionSpec): void {
  const own = new Set(parent.secrets.provider_credentials.map(stable));
  if (wish.secrets.provider_credentials.every((each) => own.has(stable(each)))) return;
  refuse("provider_credentials");
}

/** Of several credentials the one that its model needs. */
function leastCredentials(spec: ProvisionSpec): ProvisionSpec {
  const { model, secrets } = spec;
  if (model === undefined) return spec;
  const needed = secrets.provider_credentials
    .filter(({ provider }: ScopedCredential) => provider === model.provider);
  return { ...spec, secrets: { ...secrets, provider_credentials: needed.slice(0, 1) } };
}
