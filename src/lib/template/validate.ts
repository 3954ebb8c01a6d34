// SPDX-License-Identifier: Apache-2.0
import { policyProblems } from "../authorization/validate.ts";
import { canonicalJson } from "../canonical/mod.ts";
import { messageOf } from "../errors.ts";
import { isGlob } from "../glob/mod.ts";
import { isSegment, parseTemplateRef } from "../ref/mod.ts";
import type { EgressRule, Mount, ProxyService, Template } from "../schema/events.ts";
import { isRole } from "../token/rules.ts";
import { attentionProblems } from "./attention.ts";
import { ASK_TIMEOUT } from "./egress.ts";
import { mountPoint } from "./merge.ts";
import { EGRESS_PRESETS, presetOf } from "./presets.ts";
import { secretProblems } from "./secrets.ts";
import { VARIABLE_NAME, variablesOf } from "./variables.ts";

/** One thing wrong with a template. */
export interface Problem {
  /** Where, for example `filesystem[2].mode`. */
  readonly field: string;
  readonly message: string;
}

const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
// RFC 9110 token.
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Checks a template before it is published, beyond what its schema can say.
 * @returns every problem, empty when it may be published
 */
export function validateTemplate(template: Template): Problem[] {
  const problems: Problem[] = [];
  const add = (field: string, message: string) => problems.push({ field, message });

  if (!template.description) add("description", "must say what the template is for");
  for (const [at, ref] of (template.inherits ?? []).entries()) {
    try {
      parseTemplateRef(ref);
    } catch (error) {
      add(`inherits[${at}]`, messageOf(error));
    }
  }
  if (!template.inherits?.length && !template.command?.length) {
    add("command", "must be set when nothing is inherited");
  }
  if (template.command?.length === 0) add("command", "must not be empty");
  const dests = new Set<string>();
  for (const [at, mount] of (template.filesystem ?? []).entries()) {
    mountProblems(mount, (field, message) => add(`filesystem[${at}].${field}`, message));
    const dest = mountPoint(mount.dest);
    if (dests.has(dest)) add(`filesystem[${at}].dest`, `mounts ${dest} a second time`);
    dests.add(dest);
  }
  for (const [name, value] of Object.entries(template.resources ?? {})) {
    if (!Number.isSafeInteger(value) || Number(value) < 0) {
      add(`resources.${name}`, "must be an integer of at least 0");
    }
  }
  for (const [at, dir] of (template.create_dirs ?? []).entries()) {
    if (!isInnerPath(dir)) add(`create_dirs[${at}]`, "must be an absolute path without ..");
  }
  sandboxProblems(template, add);
  for (const name of Object.keys(template.environment_variables ?? {})) {
    if (!ENVIRONMENT_NAME.test(name)) {
      add(`environment_variables.${name}`, "is not a variable's name");
    }
  }
  for (const [name, values] of Object.entries(template.prepend_variables ?? {})) {
    if (!ENVIRONMENT_NAME.test(name)) add(`prepend_variables.${name}`, "is not a variable's name");
    if (values.some((value) => value === "" || value.replace(/\$\{[^}]*\}/g, "").includes(":"))) {
      add(`prepend_variables.${name}`, "entries must not be empty or hold a colon");
    }
  }
  for (const [name, command] of Object.entries(template.roles ?? {})) {
    if (command.length === 0) add(`roles.${name}`, "must not be empty");
  }
  serviceProblems(template, add);
  budgetProblems(template, add);
  attentionProblems(template.attention, add);
  for (const text of policyProblems(template.authorization ?? {})) add("authorization", text);
  for (const [field, text] of expandable(template)) {
    for (const name of variablesOf(text)) {
      if (!VARIABLE_NAME.test(name)) add(field, `\${${name}} is not a variable: use A-Z 0-9 _`);
    }
  }
  try {
    canonicalJson(template);
  } catch (error) {
    add("", messageOf(error));
  }
  return problems;
}

/** What a device may be called: a group that the launcher knows, or one node; `?` when it may be missing. */
export const DEVICE_NAME = /^(dri|nvidia|kvm|\/dev\/[A-Za-z0-9][A-Za-z0-9._\/-]*)\??$/;
/** One label of RFC 1123. */
export const HOST_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

function sandboxProblems(template: Template, add: (field: string, message: string) => void): void {
  const { sysroot } = template;
  if (sysroot !== undefined && sysroot !== "host") {
    const path = "rootfs" in sysroot ? sysroot.rootfs : sysroot.nix;
    if (!isInnerPath(path)) add("sysroot", "must be an absolute path without ..");
    if (template.environment) add("environment", "says what sysroot says: name one of the two");
  }
  if (template.environment && !isInnerPath(template.environment)) {
    add("environment", "must be an absolute path without ..");
  }
  for (const [at, name] of (template.devices ?? []).entries()) {
    if (!DEVICE_NAME.test(name) || name.includes("..")) {
      add(`devices[${at}]`, "must be dri, nvidia, kvm or a path below /dev");
    }
  }
  for (const [at, name] of (template.protected_paths ?? []).entries()) {
    if (name === "" || name.split("/").some((part) => ["", ".", ".."].includes(part))) {
      add(`protected_paths[${at}]`, "must be relative to the workspace, without . or ..");
    }
  }
  if (template.bridge === true && template.seccomp === "networkless") {
    add("bridge", "needs Internet sockets on the sandbox's own loopback: not with networkless");
  }
  for (const field of ["required_services", "optional_services"] as const) {
    for (const [at, role] of (template[field] ?? []).entries()) {
      if (!isRole(role)) add(`${field}[${at}]`, "must be one word of a-z 0-9 . _ = -");
    }
  }
  if (template.hostname !== undefined && !HOST_LABEL.test(template.hostname)) {
    add("hostname", "must be one label of a-z 0-9 -");
  }
}

function mountProblems(mount: Mount, add: (field: string, message: string) => void): void {
  if (!isInnerPath(mount.dest)) add("dest", "must be an absolute path without ..");
  if (mount.type === "tmpfs") {
    if (mount.source !== undefined) add("source", "a tmpfs has none");
    if (mount.options !== undefined && !/^size=[1-9]\d*$/.test(mount.options)) {
      add("options", "must be size=<bytes>");
    }
    return;
  }
  if (!mount.source) add("source", "a bind needs one");
  else if (!isInnerPath(mount.source)) add("source", "must be an absolute path without ..");
  if (mount.options !== undefined) add("options", "only a tmpfs has options");
}

function budgetProblems(
  { budgets }: Template,
  add: (field: string, message: string) => void,
): void {
  for (const window of ["run", "hour", "day"] as const) {
    const caps = Object.entries(budgets?.[window] ?? {});
    for (const [name, value] of caps) {
      const wrong = amountProblem(value);
      if (wrong !== null) add(`budgets.${window}.${name}`, wrong);
    }
    if (budgets?.[window] !== undefined && caps.length === 0) {
      add(`budgets.${window}`, "names no cap: tokens, input_tokens, output_tokens or cost_usd");
    }
  }
  for (const [model, price] of Object.entries(budgets?.prices ?? {})) {
    for (const [name, value] of Object.entries(price)) {
      const wrong = amountProblem(value);
      if (wrong !== null) add(`budgets.prices.${model}.${name}`, wrong);
    }
  }
}

function amountProblem(value: number | string | undefined): string | null {
  if (value === undefined) return null;
  const amount = Number(value);
  if (!(Number.isFinite(amount) && amount >= 0)) return "must be a number of at least 0";
  if (typeof value === "string" || Number.isSafeInteger(value)) return null;
  return `Matrix events hold whole numbers alone: write dollars as text, "${value}"`;
}

function serviceProblems(template: Template, add: (field: string, message: string) => void): void {
  for (const [name, service] of Object.entries(template.proxy_services ?? {})) {
    const field = `proxy_services.${name}`;
    // The name is a path segment of the proxy and of the action http/<name>.
    if (!isSegment(name)) add(field, "a service's name is one segment of a-z 0-9 . _ = -");
    if (!/^(https?:\/\/|\$\{)/.test(service.upstream)) {
      add(`${field}.upstream`, "must be an https:// address or a variable");
    }
    for (const header of Object.keys(service.inject_headers ?? {})) {
      if (!HEADER_NAME.test(header)) add(`${field}.inject_headers`, `${header} is no header name`);
    }
    serviceRuleProblems(service, field, add);
    for (const header of service.strip_headers ?? []) {
      if (!HEADER_NAME.test(header)) add(`${field}.strip_headers`, `${header} is no header name`);
    }
  }
  for (const [name, key] of Object.entries(template.ssh_keys ?? {})) {
    if (!isSegment(name)) add(`ssh_keys.${name}`, "a key's name is one segment of a-z 0-9 . _ = -");
    if (key.credential === "") add(`ssh_keys.${name}.credential`, "must name a credential");
  }
  for (const { at, message } of secretProblems(template.secrets ?? [])) {
    add(`secrets[${at}]`, message);
  }
  for (const [at, { env }] of (template.secrets ?? []).entries()) {
    if (env === undefined) continue;
    const elsewhere = (["environment_variables", "placeholders"] as const)
      .find((name) => template[name]?.[env] !== undefined);
    if (elsewhere !== undefined) add(`secrets[${at}]`, `env ${env} is set in ${elsewhere} too`);
  }
  egressProblems(template, add);
  for (const name of Object.keys(template.placeholders ?? {})) {
    if (!ENVIRONMENT_NAME.test(name)) add(`placeholders.${name}`, "is no variable name");
    if (template.environment_variables?.[name] !== undefined) {
      add(`placeholders.${name}`, "is set in environment_variables too");
    }
  }
}

/**
 * What may be meant, but seldom is.
 * @param template as written: of what it inherits nothing is known
 */
export function templateWarnings(template: Template): Problem[] {
  const warnings: Problem[] = [];
  const bridged = template.bridge ?? (template.inherits?.length ? null : false);
  if (bridged === false && Object.keys(template.placeholders ?? {}).length > 0) {
    warnings.push({
      field: "placeholders",
      message:
        "without `bridge: true` programs have no HTTPS_PROXY and will not trust the proxy's certificate",
    });
  }
  return warnings;
}

function egressProblems(template: Template, add: (field: string, message: string) => void): void {
  const destination = (entry: string, field: string, forms: string) => {
    const preset = presetOf(entry);
    if (preset === null) {
      const known = Object.keys(EGRESS_PRESETS).join(", ");
      add(field, `there is no such preset; there are ${known}`);
    } else if (preset === undefined && !isDestination(entry)) {
      add(field, `must be ${forms}`);
    }
  };
  for (const [at, entry] of (template.egress?.ask ?? []).entries()) {
    destination(entry, `egress.ask[${at}]`, "host:port, *.host:port, *:port or preset:<name>");
  }
  const patience = template.egress?.ask_timeout;
  const { least, most } = ASK_TIMEOUT;
  if (patience !== undefined && !(patience >= least && patience <= most)) {
    add("egress.ask_timeout", `must be ${least} to ${most} seconds`);
  }
  for (const name of ["allow", "deny"] as const) {
    for (const [at, entry] of (template.egress?.[name] ?? []).entries()) {
      const field = `egress.${name}[${at}]`;
      if (typeof entry !== "string") {
        const every = entry.host.startsWith("*:");
        if (every || !isDestination(entry.host) || presetOf(entry.host) !== undefined) {
          add(`${field}.host`, "must be host:port or *.host:port");
        }
        requestRuleProblems(entry, field, add);
        continue;
      }
      // A slip that opens everything, or closes it, must not pass for a rule.
      if (entry.startsWith("*:")) add(field, "every host is for egress.ask alone");
      else destination(entry, field, "host:port, *.host:port or preset:<name>");
    }
  }
}

function serviceRuleProblems(
  service: ProxyService,
  field: string,
  add: (field: string, message: string) => void,
): void {
  const injectsAuthorization = Object.keys(service.inject_headers ?? {}).some((header) =>
    header.toLowerCase() === "authorization"
  );
  if (service.basic_auth !== undefined && injectsAuthorization) {
    add(`${field}.basic_auth`, "Authorization is injected already");
  }
  // RFC 7617 §2: the first colon ends the user name.
  if (service.basic_auth?.username.includes(":")) {
    add(`${field}.basic_auth.username`, "must hold no colon");
  }
  for (const name of Object.keys(service.inject_query ?? {})) {
    if (!/^[A-Za-z0-9._~-]+$/.test(name)) {
      add(`${field}.inject_query`, `${name} is no parameter name of A-Z a-z 0-9 . _ ~ -`);
    }
  }
  for (const place of Object.keys(service.inject_body ?? {})) {
    // RFC 6901: a tilde only as ~0 or ~1.
    if (!/^(\/([^~]|~[01])+|[A-Za-z0-9._~-]+)$/.test(place)) {
      add(`${field}.inject_body`, `${place} is no JSON pointer (/a/b) and no form field's name`);
    }
  }
  for (const effect of ["allow", "deny"] as const) {
    for (const [at, rule] of (service[effect] ?? []).entries()) {
      requestRuleProblems(rule, `${field}.${effect}[${at}]`, add);
    }
  }
}

function requestRuleProblems(
  rule: Partial<EgressRule>,
  field: string,
  add: (field: string, message: string) => void,
): void {
  for (const method of rule.methods ?? []) {
    if (!/^[A-Z][A-Z-]*$/.test(method)) {
      add(`${field}.methods`, `${method} is no method in upper case`);
    }
  }
  for (const path of rule.paths ?? []) {
    if (!isGlob(path)) {
      add(`${field}.paths`, `${path} is no pattern; it starts without a slash`);
    }
  }
}

function isDestination(entry: string): boolean {
  return /^\$\{[^}]*\}$/.test(entry) ||
    /^[^\s/@:]+:(\d+|\$\{[^}]*\})$|^\[[0-9a-fA-F:.]+\]:\d+$/.test(entry);
}

/** Absolute, or beginning with a variable that will be; never with a `..` that leads out again. */
function isInnerPath(path: string): boolean {
  return /^(\/|\$\{)/.test(path) && !path.includes("\0") && !path.split("/").includes("..");
}

function* expandable(template: Template): Generator<[string, string]> {
  for (const [at, mount] of (template.filesystem ?? []).entries()) {
    if (mount.source !== undefined) yield [`filesystem[${at}].source`, mount.source];
    yield [`filesystem[${at}].dest`, mount.dest];
  }
  for (const [name, value] of Object.entries(template.environment_variables ?? {})) {
    yield [`environment_variables.${name}`, value];
  }
  for (const [at, dir] of (template.create_dirs ?? []).entries()) yield [`create_dirs[${at}]`, dir];
  if (template.environment) yield ["environment", template.environment];
  if (template.sysroot !== undefined && template.sysroot !== "host") {
    yield [
      "sysroot",
      "rootfs" in template.sysroot ? template.sysroot.rootfs : template.sysroot.nix,
    ];
  }
  for (const name of ["allow", "deny"] as const) {
    for (const [at, entry] of (template.egress?.[name] ?? []).entries()) {
      yield [`egress.${name}[${at}]`, typeof entry === "string" ? entry : entry.host];
    }
  }
  for (const [at, entry] of (template.egress?.ask ?? []).entries()) {
    yield [`egress.ask[${at}]`, entry];
  }
  for (const [name, service] of Object.entries(template.proxy_services ?? {})) {
    yield [`proxy_services.${name}.upstream`, service.upstream];
  }
}
