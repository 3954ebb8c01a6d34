// SPDX-License-Identifier: Apache-2.0
import { canonicalJson } from "../canonical/mod.ts";
import type { AuthorizationPolicy, Mount, Template } from "../schema/events.ts";

/**
 * A parent with its child on top:
 *
 * | fields | rule |
 * |---|---|
 * | description, isolation, command, environment, resources, sysroot, hostname, seccomp, bridge, service, health, reload, restart_policy | the child's when it has one, whole |
 * | environment_variables, roles, default_payload, proxy_services, ssh_keys, placeholders, budgets, recording | joined by key, the child's wins |
 * | prepend_variables | per key: the child's entries, then the parent's, each once |
 * | filesystem, secrets | the parent's whose `dest` (`key`) the child doesn't name, then the child's |
 * | create_dirs, devices, protected_paths, required_credentials, required_services, optional_services, egress, authorization, attention | the parent's, then the child's, each once |
 *
 * No child can take away a parent's denial. `inherits` is not carried over.
 */
export function mergeTemplates(parent: Template, child: Template): Template {
  return compact({
    description: child.description ?? parent.description,
    isolation: child.isolation || parent.isolation,
    command: child.command ?? parent.command,
    environment: child.environment || parent.environment,
    environment_variables: byKey(parent.environment_variables, child.environment_variables),
    prepend_variables: prepended(parent.prepend_variables, child.prepend_variables),
    filesystem: mounts(parent.filesystem, child.filesystem),
    resources: child.resources ?? parent.resources,
    create_dirs: appended(parent.create_dirs, child.create_dirs),
    sysroot: child.sysroot ?? parent.sysroot,
    devices: appended(parent.devices, child.devices),
    protected_paths: appended(parent.protected_paths, child.protected_paths),
    hostname: child.hostname ?? parent.hostname,
    seccomp: child.seccomp ?? parent.seccomp,
    bridge: child.bridge ?? parent.bridge,
    service: child.service ?? parent.service,
    roles: byKey(parent.roles, child.roles),
    required_credentials: appended(parent.required_credentials, child.required_credentials),
    required_services: appended(parent.required_services, child.required_services),
    optional_services: appended(parent.optional_services, child.optional_services),
    default_payload: byKey(parent.default_payload, child.default_payload),
    health: child.health ?? parent.health,
    reload: child.reload ?? parent.reload,
    recording: byKey(parent.recording, child.recording),
    proxy_services: byKey(parent.proxy_services, child.proxy_services),
    ssh_keys: byKey(parent.ssh_keys, child.ssh_keys),
    placeholders: byKey(parent.placeholders, child.placeholders),
    secrets: mergeSecrets(parent.secrets, child.secrets),
    egress: mergeEgress(parent.egress, child.egress),
    budgets: mergeBudgets(parent.budgets, child.budgets),
    attention: mergeAttention(parent.attention, child.attention),
    authorization: mergeAuthorization(parent.authorization, child.authorization),
    restart_policy: child.restart_policy ?? parent.restart_policy,
  });
}

function mergeSecrets(
  parent: Template["secrets"],
  child: Template["secrets"],
): Template["secrets"] {
  if (parent === undefined || child === undefined) return child ?? parent;
  const named = new Set(child.map(({ key }) => key));
  return [...parent.filter(({ key }) => !named.has(key)), ...child];
}

/** Joins the destinations of two policies, each once; how long to wait for an answer is the child's word. */
export function mergeEgress(
  parent: Template["egress"],
  child: Template["egress"],
): Template["egress"] {
  if (parent === undefined && child === undefined) return undefined;
  return compact({
    allow: appended(parent?.allow, child?.allow) ?? [],
    deny: appended(parent?.deny, child?.deny),
    ask: appended(parent?.ask, child?.ask),
    ask_timeout: child?.ask_timeout ?? parent?.ask_timeout,
  });
}

/** Window by window the child's, price by price. */
export function mergeBudgets(
  parent: Template["budgets"],
  child: Template["budgets"],
): Template["budgets"] {
  if (parent === undefined || child === undefined) return child ?? parent;
  const prices = byKey(parent.prices, child.prices);
  return { ...parent, ...child, ...(prices === undefined ? {} : { prices }) };
}

/** Patterns of both; how long quiet is idle is the child's word. */
function mergeAttention(
  parent: Template["attention"],
  child: Template["attention"],
): Template["attention"] {
  if (parent === undefined || child === undefined) return child ?? parent;
  return compact({
    waiting: appended(parent.waiting, child.waiting),
    idle_after_seconds: child.idle_after_seconds ?? parent.idle_after_seconds,
  });
}

function mergeAuthorization(
  parent: AuthorizationPolicy | undefined,
  child: AuthorizationPolicy | undefined,
): AuthorizationPolicy | undefined {
  if (parent === undefined && child === undefined) return undefined;
  return compact({
    grants: appended(parent?.grants, child?.grants),
    denials: appended(parent?.denials, child?.denials),
    allowances: appended(parent?.allowances, child?.allowances),
    allowance_denials: appended(parent?.allowance_denials, child?.allowance_denials),
  });
}

/** Both lists in order, equal items (as canonical JSON) once, at their first place. */
function appended<T>(
  parent: readonly T[] | undefined,
  child: readonly T[] | undefined,
): T[] | undefined {
  if (parent === undefined && child === undefined) return undefined;
  const seen = new Map<string, T>();
  for (const item of [...(parent ?? []), ...(child ?? [])]) {
    const key = canonicalJson(item);
    if (!seen.has(key)) seen.set(key, item);
  }
  return [...seen.values()];
}

function byKey<T>(
  parent: Readonly<Record<string, T>> | undefined,
  child: Readonly<Record<string, T>> | undefined,
): Record<string, T> | undefined {
  if (parent === undefined && child === undefined) return undefined;
  // From entries, so that a key named __proto__ stays a key.
  return Object.fromEntries([...Object.entries(parent ?? {}), ...Object.entries(child ?? {})]);
}

function prepended(
  parent: Template["prepend_variables"],
  child: Template["prepend_variables"],
): Template["prepend_variables"] {
  if (parent === undefined && child === undefined) return undefined;
  const keys = new Set([...Object.keys(parent ?? {}), ...Object.keys(child ?? {})]);
  return Object.fromEntries(
    [...keys].map((key) => [key, appended(own(child, key), own(parent, key)) ?? []]),
  );
}

function own<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}

function mounts(
  parent: readonly Mount[] | undefined,
  child: readonly Mount[] | undefined,
): Mount[] | undefined {
  if (parent === undefined && child === undefined) return undefined;
  const redeclared = new Set((child ?? []).map((mount) => mountPoint(mount.dest)));
  return [
    ...(parent ?? []).filter((mount) => !redeclared.has(mountPoint(mount.dest))),
    ...(child ?? []),
  ];
}

/** `/workspace/` and `//workspace` are the mount point `/workspace`. */
export function mountPoint(dest: string): string {
  return dest.replace(/\/+/g, "/").replace(/(?<=.)\/$/, "");
}

/** Leaves out what is undefined: canonical JSON and the schemas know only absent. */
export function compact<T extends object>(
  value: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(value).filter(([, item]) => item !== undefined),
  ) as { [K in keyof T]: Exclude<T[K], undefined> };
}
