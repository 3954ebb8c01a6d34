// SPDX-License-Identifier: Apache-2.0
import type {
  Assignment,
  AuthorizationPolicy,
  Budgets,
  Mount,
  ProxyService,
  RestartPolicy,
  SshKey,
  Sysroot,
  Template,
} from "../schema/events.ts";
import { quoteName } from "../ref/mod.ts";
import type { HealthCheck } from "../schema/health.ts";
import type { Recording } from "../schema/recording.ts";
import { type ResolvedEgress, resolveEgress } from "./egress.ts";
import { budgetsOf } from "./budgets.ts";
import { TemplateError } from "./errors.ts";
import { compact, mergeBudgets } from "./merge.ts";
import { secretProblems } from "./secrets.ts";
import { expandVariables, type Variables } from "./variables.ts";

/** What one principal's cell is made of: every field present, every variable expanded. */
export interface ResolvedSpec {
  readonly isolation: "standard" | "none";
  /** Not expanded, at least one word. */
  readonly command: string[];
  readonly environment_variables: Record<string, string>;
  readonly prepend_variables: Record<string, string[]>;
  /** An absent mode is read-only. */
  readonly filesystem: Mount[];
  readonly resources: NonNullable<Template["resources"]>;
  readonly create_dirs: string[];
  readonly sysroot: Sysroot;
  readonly devices: string[];
  /** In addition to those that hold in every sandbox. */
  readonly protected_paths: string[];
  readonly hostname: string | null;
  readonly seccomp: NonNullable<Template["seccomp"]>;
  readonly bridge: boolean;
  readonly service: NonNullable<Template["service"]> | null;
  readonly roles: Record<string, string[]>;
  readonly required_credentials: string[];
  readonly required_services: string[];
  readonly optional_services: string[];
  /** What the agent reads as `payload.json`. */
  readonly payload: Record<string, unknown>;
  readonly reload: "sighup" | null;
  readonly health: HealthCheck | null;
  readonly recording: Recording;
  readonly proxy_services: Record<string, ProxyService>;
  /** Environment variable → name of a credential. */
  readonly placeholders: Record<string, string>;
  /** File in `/run/bureau/secrets` → name of a credential, whose placeholder is in it. */
  readonly secret_files: Record<string, string>;
  readonly ssh_keys: Record<string, SshKey>;
  readonly egress: ResolvedEgress;
  readonly budgets: Budgets | null;
  /** The template's block alone; `effectiveGrants` adds the assignment's. */
  readonly authorization: AuthorizationPolicy;
  readonly restart_policy: RestartPolicy;
}

/** The fields of an assignment that shape its instance. */
export type Instance = Pick<
  Assignment,
  | "variables"
  | "command_override"
  | "environment_override"
  | "required_services_override"
  | "secrets_override"
  | "extra_environment_variables"
  | "payload"
  | "egress"
  | "budgets"
  | "restart_policy"
>;

/**
 * Makes an instance of a resolved template. `${NAME}` is expanded in mount source and dest, sysroot,
 * environment values, create_dirs, egress entries and upstreams; not in the command, which gets the environment.
 * @param variables facts of the machine; they win over the assignment's variables of the same name
 * @throws {TemplateError} `no-command`, `unresolved`, `unknown-variable`, `bad-variable`
 */
export function instantiate(
  resolved: Template,
  assignment: Instance,
  variables: Variables = {},
): ResolvedSpec {
  if ((resolved.inherits ?? []).length > 0) {
    throw new TemplateError(
      "unresolved",
      `Cannot instantiate "template": its parents are not merged`,
    );
  }
  const known: Variables = { ...assignment.variables, ...variables };
  for (const [name, value] of Object.entries(known)) {
    // A NUL ends a path or an argument early for whoever reads it next.
    if (value.includes("\0")) {
      throw new TemplateError(
        "bad-variable",
        `Cannot use the variable ${quoteName(name)}: it holds a NUL`,
      );
    }
  }
  const expand = (text: string, where: string) => expandVariables(text, known, where);
  const command = assignment.command_override ?? resolved.command ?? [];
  if (command.length === 0) {
    throw new TemplateError("no-command", `Cannot instantiate "template": it has no command`, {
      hint: "set command in the template or command_override in the assignment",
    });
  }
  const secrets = assignment.secrets_override ?? resolved.secrets ?? [];
  const wrong = secretProblems(secrets)[0];
  if (wrong !== undefined) {
    throw new TemplateError("bad-secret", `Cannot use the secrets: [${wrong.at}] ${wrong.message}`);
  }
  return {
    isolation: resolved.isolation || "standard",
    command: [...command],
    environment_variables: mapValues(
      { ...resolved.environment_variables, ...assignment.extra_environment_variables },
      (value, name) => expand(value, `environment_variables.${name}`),
    ),
    prepend_variables: mapValues(
      resolved.prepend_variables ?? {},
      (values, name) => values.map((value) => expand(value, `prepend_variables.${name}`)),
    ),
    filesystem: (resolved.filesystem ?? []).map((mount, at) =>
      compact({
        ...mount,
        source: mount.source === undefined
          ? undefined
          : expand(mount.source, `filesystem[${at}].source`),
        dest: expand(mount.dest, `filesystem[${at}].dest`),
      })
    ),
    resources: resolved.resources ?? {},
    create_dirs: (resolved.create_dirs ?? []).map((dir, at) => expand(dir, `create_dirs[${at}]`)),
    sysroot: expandSysroot(sysrootOf(resolved, assignment), expand),
    devices: resolved.devices ?? [],
    protected_paths: resolved.protected_paths ?? [],
    hostname: resolved.hostname ?? null,
    seccomp: resolved.seccomp ?? "default",
    bridge: resolved.bridge ?? false,
    service: resolved.service ?? null,
    roles: resolved.roles ?? {},
    required_credentials: resolved.required_credentials ?? [],
    required_services: assignment.required_services_override ?? resolved.required_services ?? [],
    optional_services: resolved.optional_services ?? [],
    payload: { ...resolved.default_payload, ...assignment.payload },
    reload: resolved.reload ?? null,
    health: resolved.health ?? null,
    recording: resolved.recording ?? {},
    proxy_services: mapValues(resolved.proxy_services ?? {}, (service, name) => ({
      ...service,
      upstream: expand(service.upstream, `proxy_services.${name}.upstream`),
    })),
    ssh_keys: resolved.ssh_keys ?? {},
    placeholders: {
      ...resolved.placeholders,
      ...Object.fromEntries(secrets.flatMap(({ key, env }) => env ? [[env, key]] : [])),
    },
    secret_files: Object.fromEntries(
      secrets.flatMap(({ key, file }) => file ? [[file, key]] : []),
    ),
    egress: resolveEgress(resolved.egress, assignment.egress, expand),
    budgets: budgetsOf(mergeBudgets(resolved.budgets, assignment.budgets)),
    authorization: resolved.authorization ?? {},
    restart_policy: assignment.restart_policy ?? resolved.restart_policy ?? "always",
  };
}

/** An environment is a Nix sysroot by another name; it wins, or an override of it would do nothing. */
function sysrootOf(resolved: Template, assignment: Instance): Sysroot {
  const environment = assignment.environment_override ?? resolved.environment ?? "";
  return environment === "" ? resolved.sysroot ?? "host" : { nix: environment };
}

function expandSysroot(
  sysroot: Sysroot,
  expand: (text: string, where: string) => string,
): Sysroot {
  if (sysroot === "host") return sysroot;
  return "rootfs" in sysroot
    ? { rootfs: expand(sysroot.rootfs, "sysroot.rootfs") }
    : { nix: expand(sysroot.nix, "sysroot.nix") };
}

function mapValues<T, U>(
  record: Readonly<Record<string, T>>,
  map: (value: T, key: string) => U,
): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]));
}
