// SPDX-License-Identifier: Apache-2.0

/**
 * The launcher distrusts the daemon (architecture rule 12): everything a request claims is checked
 * against the operator's signature, the machine's policy and the sealed bundle.
 */
import { canonicalJson, sha256Hex } from "../lib/canonical/mod.ts";
import { parseLocalpart, parseUserId } from "../lib/ref/mod.ts";
import type { Assignment, CredentialBundle, ProxyService, Template } from "../lib/schema/events.ts";
import type { Sensitive } from "../lib/secret/mod.ts";
import { verifyContent } from "../lib/signature/mod.ts";
import { instantiate, type ResolvedSpec, templateDigest } from "../lib/template/mod.ts";
import type {
  BoundPlaceholder,
  BoundService,
  EgressAuthority,
  ProxyBootstrap,
} from "../proxy/api.ts";
import {
  DEFAULT_FILES,
  HEALTH_SCRIPT,
  healthScript,
  planSandbox,
  type SandboxPlan,
  TRIGGER_FILE,
} from "../sandbox/mod.ts";
import type { CreateRequest, LauncherPolicy } from "./api.ts";
import { openCredentials } from "./credentials.ts";
import { LauncherError } from "./errors.ts";
import { type Limits, limitsOf } from "./limits.ts";
import { Look, machineFacts } from "./look.ts";
import { bindLogins, valueOf } from "./oauth2.ts";
import { bindPlaceholders } from "./placeholders.ts";
import { caBundle } from "./ca_bundle.ts";
import { egressAuthority } from "./egress_authority.ts";
import { bindSshKeys, type SshBinding } from "./ssh.ts";

export interface Validated {
  readonly localpart: string;
  readonly userId: string;
  readonly spec: ResolvedSpec;
  readonly plan: SandboxPlan;
  readonly specDigest: string;
  readonly credentialsDigest: string | null;
  /** Processes and threads at once. */
  readonly pidsLimit: number;
  readonly limits: Limits;
  /** Secret. */
  readonly bundle: CredentialBundle | null;
  /** See `OpenedCredentials.issued`. */
  readonly issuedCredentials: Readonly<Record<string, number>>;
  /** Secret. */
  readonly placeholders: readonly BoundPlaceholder[];
  /** Secret. */
  readonly authority: EgressAuthority;
  /** Holds secrets. */
  readonly ssh: SshBinding | null;
  readonly contract: readonly (readonly [name: string, text: string])[];
  /** What the sandbox itself holds of the credentials' settings: other ones need another sandbox. */
  readonly sealedIn: string;
}

const refuse = (code: string, message: string, hint?: string) =>
  new LauncherError(code, message, { status: 403, ...(hint === undefined ? {} : { hint }) });

/**
 * @param newest the newest `issued_at` seen for this principal, or 0
 * @param wanted what the assignment must ask for
 */
export async function verifyAssignment(
  name: string,
  assignment: Assignment,
  policy: LauncherPolicy,
  machine: string,
  newest: number,
  wanted: "running" | "not-running" = "running",
): Promise<void> {
  const who = `"${assignment.principal}"`;
  try {
    await verifyContent(assignment, policy.operator_keys);
  } catch (thrown) {
    throw new LauncherError(
      "bad-signature",
      `Cannot start ${who}: no operator of this machine signed the assignment`,
      { cause: thrown, status: 403, hint: "write it with `bureau agent create`, which signs it" },
    );
  }
  const { localpart } = parseUserId(assignment.principal);
  if (localpart !== name) {
    throw refuse("wrong-principal", `Cannot start "${name}": the assignment is for ${who}`);
  }
  if (assignment.machine !== machine) {
    throw refuse("wrong-machine", `Cannot start ${who}: it is assigned to "${assignment.machine}"`);
  }
  if (assignment.issued_at < newest) {
    throw refuse(
      "replayed",
      `Cannot start ${who}: a newer assignment was seen before this one`,
      "sign a new assignment",
    );
  }
  if ((assignment.desired === "running") === (wanted === "not-running")) {
    throw refuse(
      wanted === "running" ? "not-running" : "running",
      `Cannot ${
        wanted === "running" ? "start" : "retire"
      } ${who}: it is signed as ${assignment.desired}`,
    );
  }
}

/** Everything else about a request. @param identity the machine's age key; secret */
export async function validateRequest(
  name: string,
  request: CreateRequest,
  policy: LauncherPolicy,
  identity: Sensitive,
  runtimeDir?: string,
): Promise<Validated> {
  const { assignment, template } = request;
  const who = `"${assignment.principal}"`;
  parseLocalpart(name);
  if (await templateDigest(template) !== assignment.template_digest) {
    throw refuse(
      "template-changed",
      `Cannot start ${who}: its template is not the one that the operator signed`,
      "sign again with `bureau agent create`",
    );
  }
  const spec = instantiate(template, assignment, {});
  checkLimits(spec, policy, who);
  const opened = request.credentials === null ? null : await openCredentials(request.credentials, {
    identity,
    principal: assignment.principal,
    operatorKeys: policy.operator_keys,
  });
  const bundle = opened?.bundle ?? null;
  for (const key of spec.required_credentials) {
    if (bundle === null || !Object.hasOwn(bundle.credentials, key)) {
      throw refuse(
        "missing-credential",
        `Cannot start ${who}: credential "${key}" is not sealed for it`,
      );
    }
  }
  const ssh = bindSshKeys(spec, bundle, name);
  const look = new Look(policy);
  const placeholders = await bindPlaceholders(spec, bundle, identity, name);
  const authority = await egressAuthority(identity, name);
  const certificates = spec.bridge ? await caBundle(look, authority.certificate) : null;
  const plan = await planSandbox(
    {
      ...spec,
      environment_variables: {
        ...ssh?.environment,
        ...spec.environment_variables,
        ...placeholders.environment,
      },
    },
    policy.bind_roots,
    look.lstat,
    machineFacts(look, policy, name, {
      ...(runtimeDir === undefined ? {} : { runtime: runtimeDir }),
      caBundle: certificates !== null,
      services: true,
    }),
  );
  return {
    localpart: name,
    userId: assignment.principal,
    spec,
    plan,
    specDigest: await digestSpec(assignment, template),
    credentialsDigest: request.credentials === null ? null : await sha256Hex(request.credentials),
    limits: limitsOf(spec.resources, policy.limits),
    pidsLimit: spec.resources.pids_limit ?? policy.limits.pids_limit,
    bundle,
    issuedCredentials: opened?.issued ?? {},
    ssh,
    placeholders: placeholders.bound,
    authority,
    sealedIn: JSON.stringify([ssh?.contract ?? [], ssh?.environment ?? {}]),
    contract: [
      ...triggerFile(request, who),
      ...(spec.health === null ? [] : [[HEALTH_SCRIPT, healthScript(spec.health)] as const]),
      ...ssh?.contract ?? [],
      ...placeholders.files,
      ...(certificates === null ? [] : [["ca-bundle.pem", certificates] as const]),
    ],
  };
}

/** Larger than any event that a homeserver takes. */
const MAX_TRIGGER = 128 * 1024;

function triggerFile({ assignment, trigger }: CreateRequest, who: string): [string, string][] {
  if (trigger === undefined) return [];
  if (assignment.start_condition === undefined) {
    throw refuse("bad-trigger", `Cannot start ${who}: it was signed without a start condition`);
  }
  const text = JSON.stringify(trigger);
  if (text.length > MAX_TRIGGER) {
    throw refuse("bad-trigger", `Cannot start ${who}: the event it waited for is too large`);
  }
  return [[TRIGGER_FILE, text]];
}

/** SHA-256 over all that needs a restart to change; grants, egress, budgets, payload and restart policy are not in it. */
export function digestSpec(assignment: Assignment, template: Template): Promise<string> {
  const {
    authorization: _a,
    egress: _e,
    budgets: _b,
    restart_policy: _r,
    default_payload: _p,
    reload: _s,
    ...shape
  } = template;
  return sha256Hex(canonicalJson({
    template: shape,
    room: assignment.room ?? null,
    variables: assignment.variables ?? {},
    command: assignment.command_override ?? [],
    environment: assignment.extra_environment_variables ?? {},
    // Only where they are, so that what runs since before them goes on.
    ...assignment.environment_override === undefined
      ? {}
      : { environment_override: assignment.environment_override },
    ...assignment.required_services_override === undefined
      ? {}
      : { required_services: assignment.required_services_override },
    ...assignment.secrets_override === undefined ? {} : { secrets: assignment.secrets_override },
  }));
}

function checkLimits(spec: ResolvedSpec, policy: LauncherPolicy, who: string): void {
  for (const [name, asked] of Object.entries<number | undefined>(spec.resources)) {
    if (asked === undefined || asked >= 0) continue;
    throw refuse("bad-limit", `Cannot start ${who}: its ${name} is less than nothing: ${asked}`);
  }
  const ceilings = { files: DEFAULT_FILES, ...policy.limits };
  for (
    const name of [
      ...["memory_limit_mb", "pids_limit", "cpu_quota_percent", "scratch_mb", "files"] as const,
    ]
  ) {
    const asked = spec.resources[name];
    if (asked !== undefined && asked > (ceilings[name] ?? Infinity)) {
      throw refuse(
        "over-limit",
        `Cannot start ${who}: it asks for ${name} ${asked}, this machine allows ${ceilings[name]}`,
      );
    }
  }
}

/** The document for the proxy. Secret. */
export function proxyBootstrap(
  validated: Validated,
  request: CreateRequest,
  names: { readonly serverName: string; readonly machine: string },
): ProxyBootstrap {
  const { bundle, spec, localpart } = validated;
  const services: Record<string, BoundService> = {};
  for (const [name, service] of Object.entries(spec.proxy_services)) {
    services[name] = bindService(name, service, bundle, validated.userId);
  }
  const placeholders = [...validated.placeholders];
  const logins = bindLogins(bundle, { services, placeholders }, validated.userId);
  return {
    version: 1,
    principal: localpart,
    server_name: names.serverName,
    fleet: localpart.split("/").slice(0, 3).join("/"),
    machine: names.machine.slice(1).split(":")[0]!,
    room: request.assignment.room ?? null,
    matrix: bundle?.matrix ?? null,
    services,
    ...(placeholders.length === 0 ? {} : { placeholders }),
    ...(logins.length === 0 ? {} : { oauth2: logins }),
    egress_authority: validated.authority,
    egress: { allow: [...spec.egress.requests.allow], deny: [...spec.egress.requests.deny] },
    ...(spec.budgets ? { budgets: spec.budgets } : {}),
    ...(validated.ssh ? { ssh_keys: { ...validated.ssh.keys } } : {}),
    grants: request.grants,
    denials: request.denials,
  };
}

function bindService(
  name: string,
  service: ProxyService,
  bundle: CredentialBundle | null,
  who: string,
): BoundService {
  const url = URL.parse(service.upstream);
  if (
    url === null || !["http:", "https:"].includes(url.protocol) || url.username !== "" ||
    url.password !== ""
  ) {
    throw refuse(
      "bad-upstream",
      `Cannot start "${who}": the upstream of service "${name}" is no http(s) URL`,
    );
  }
  const loopback = url.hostname === "localhost" || url.hostname === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(url.hostname);
  if (url.protocol === "http:" && !loopback) {
    throw refuse(
      "plain-http",
      `Cannot start "${who}": service "${name}" would send credentials over plain http`,
      "use https; plain http is for loopback only",
    );
  }
  const host = `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
  const headers: Record<string, string> = {};
  const query: Record<string, string> = {};
  const body: Record<string, string> = {};
  const append: Record<string, string> = {};
  const secrets: string[] = [];
  const authorities = new Set<string>();
  const expires: Record<string, number> = {};
  /** The value of a credential that may go to this service. */
  const take = (key: string): string => {
    const credential = bundle !== null && Object.hasOwn(bundle.credentials, key)
      ? bundle.credentials[key]
      : undefined;
    if (credential === undefined) {
      throw refuse(
        "missing-credential",
        `Cannot start "${who}": credential "${key}" of service "${name}" is not sealed for it`,
      );
    }
    if (!credential.allowed_hosts.includes(host)) {
      throw refuse(
        "host-not-allowed",
        `Cannot start "${who}": credential "${key}" may not go to "${host}"`,
        "seal it again with this host among its allowed hosts",
      );
    }
    if (credential.ca !== undefined) authorities.add(credential.ca);
    if (credential.expires_at !== undefined) expires[key] = credential.expires_at;
    Object.assign(headers, credential.headers);
    Object.assign(append, credential.append_headers);
    return valueOf(key, credential);
  };
  for (const [header, key] of Object.entries(service.inject_headers ?? {})) {
    const scheme = service.auth_scheme !== undefined && header.toLowerCase() === "authorization"
      ? `${service.auth_scheme} `
      : "";
    headers[header] = scheme + take(key);
  }
  for (const [parameter, key] of Object.entries(service.inject_query ?? {})) {
    query[parameter] = take(key);
  }
  for (const [place, key] of Object.entries(service.inject_body ?? {})) body[place] = take(key);
  if (service.basic_auth !== undefined) {
    const { username, password } = service.basic_auth;
    const value = take(password);
    if (bundle?.credentials[password]?.oauth2 !== undefined) {
      throw refuse(
        "bad-credential",
        `Cannot start "${who}": the password of service "${name}" is a login that is renewed`,
        "use it in inject_headers, or as a placeholder",
      );
    }
    secrets.push(value);
    headers["Authorization"] = `Basic ${
      new TextEncoder().encode(`${username}:${value}`).toBase64()
    }`;
  }
  if (authorities.size > 1) {
    throw refuse(
      "two-authorities",
      `Cannot start "${who}": the credentials of service "${name}" name different CAs`,
    );
  }
  const [ca] = authorities;
  return {
    upstream: service.upstream,
    inject_headers: headers,
    strip_headers: service.strip_headers ?? [],
    ...(Object.keys(query).length === 0 ? {} : { inject_query: query }),
    ...(Object.keys(body).length === 0 ? {} : { inject_body: body }),
    ...(Object.keys(append).length === 0 ? {} : { append_headers: append }),
    ...(secrets.length === 0 ? {} : { secrets }),
    ...(Object.keys(expires).length === 0 ? {} : { expires }),
    ...(service.allow === undefined ? {} : { allow: service.allow }),
    ...(service.deny === undefined ? {} : { deny: service.deny }),
    ...(ca === undefined ? {} : { ca }),
  };
}
