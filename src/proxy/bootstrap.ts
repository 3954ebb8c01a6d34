// SPDX-License-Identifier: Apache-2.0

/**
 * Reads the two documents a proxy is given, by hand: a schema library would cost every agent's proxy 9 MB.
 * Messages name fields, never values.
 */
import type { Place } from "./swap/placeholders.ts";
import type {
  BudgetCap,
  Budgets,
  Denial,
  EgressRule,
  Grant,
  ProxyPolicy,
  RequestRule,
} from "../lib/schema/events.ts";
import type {
  BoundOauth2,
  BoundPlaceholder,
  BoundService,
  BoundSshKey,
  BudgetState,
  EgressAuthority,
  EgressRules,
  ProxyBootstrap,
} from "./api.ts";

/** Carries issues in the form that `readBootstrap` reports: path and rule, no value. */
class ShapeError extends Error {
  readonly issues: readonly { path: string[]; message: string }[];
  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
    this.issues = [{ path: [path], message }];
  }
}

type Fields = Readonly<Record<string, unknown>>;

function object(value: unknown, path: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ShapeError(path, "must be an object");
  }
  return value as Fields;
}

function text(value: unknown, path: string): string {
  if (typeof value !== "string" || value === "") {
    throw new ShapeError(path, "must be a non-empty string");
  }
  return value;
}

function list<T>(value: unknown, path: string, each: (item: unknown, path: string) => T): T[] {
  if (!Array.isArray(value)) throw new ShapeError(path, "must be an array");
  return value.map((item, index) => each(item, `${path}[${index}]`));
}

function texts(value: unknown, path: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(object(value, path)).map((
      [name, item],
    ) => [name, text(item, `${path}.${name}`)]),
  );
}

function optional<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : read(value);
}

/** Leaves `undefined` fields out, as `exactOptionalPropertyTypes` wants them. */
function compact<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as T;
}

/** A grant or a denial. */
function policyRule(value: unknown, path: string): Grant & Denial {
  const given = object(value, path);
  const word = (name: string) =>
    optional(given[name], (found) => {
      if (typeof found !== "string") throw new ShapeError(`${path}.${name}`, "must be a string");
      return found;
    });
  return compact<Grant & Denial>({
    actions: list(given["actions"], `${path}.actions`, text),
    targets: optional(given["targets"], (found) => list(found, `${path}.targets`, text)),
    expires_at: word("expires_at"),
    ticket: word("ticket"),
    granted_by: word("granted_by"),
    granted_at: word("granted_at"),
    source: word("source"),
  });
}

/** @throws when a field is missing or of another type: a policy that was not understood is not used */
export function parsePolicy(json: unknown): ProxyPolicy {
  const given = object(json, "(root)");
  return {
    grants: list(given["grants"], "grants", policyRule),
    denials: list(given["denials"], "denials", policyRule),
  };
}

const SERVICE_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\x20-\x7e\x80-\xff]+$/;

function rule(value: unknown, path: string): RequestRule {
  const given = object(value, path);
  return compact<RequestRule>({
    methods: optional(given["methods"], (found) => list(found, `${path}.methods`, text)),
    paths: list(given["paths"], `${path}.paths`, text),
  });
}

function headers(value: unknown, path: string): Record<string, string> {
  const read = texts(value, path);
  for (const [name, secret] of Object.entries(read)) {
    if (!TOKEN.test(name)) throw new ShapeError(path, "has a bad header name");
    // A line break inside a value would write further headers.
    if (!VALUE.test(secret)) throw new ShapeError(`${path}.${name}`, "is no header value");
  }
  return read;
}

function service(value: unknown, path: string): BoundService {
  const given = object(value, path);
  const values = (field: string) =>
    optional(given[field], (found) => texts(found, `${path}.${field}`));
  return compact<BoundService>({
    upstream: text(given["upstream"], `${path}.upstream`),
    inject_headers: headers(given["inject_headers"], `${path}.inject_headers`),
    append_headers: optional(
      given["append_headers"],
      (found) => headers(found, `${path}.append_headers`),
    ),
    strip_headers: list(given["strip_headers"] ?? [], `${path}.strip_headers`, text),
    inject_query: values("inject_query"),
    inject_body: values("inject_body"),
    secrets: optional(given["secrets"], (found) => list(found, `${path}.secrets`, text)),
    allow: optional(given["allow"], (found) => list(found, `${path}.allow`, rule)),
    deny: optional(given["deny"], (found) => list(found, `${path}.deny`, rule)),
    ca: optional(given["ca"], (found) => text(found, `${path}.ca`)),
    expires: optional(given["expires"], (found) =>
      Object.fromEntries(
        Object.entries(object(found, `${path}.expires`)).map((
          [name, at],
        ) => [name, amount(at, `${path}.expires`)]),
      )),
  });
}

function amount(value: unknown, path: string): number {
  if (typeof value !== "number" || !(value >= 0)) {
    throw new ShapeError(path, "must be a number of at least 0");
  }
  return value;
}

function cap(value: unknown, path: string): BudgetCap {
  const given = object(value, path);
  const field = (name: string) =>
    optional(given[name], (found) => amount(found, `${path}.${name}`));
  return compact<BudgetCap>({
    tokens: field("tokens"),
    input_tokens: field("input_tokens"),
    output_tokens: field("output_tokens"),
    cost_usd: field("cost_usd"),
  });
}

function parseBudgets(value: unknown): Budgets {
  const given = object(value, "budgets");
  const window = (name: string) => optional(given[name], (found) => cap(found, `budgets.${name}`));
  return compact<Budgets>({
    run: window("run"),
    hour: window("hour"),
    day: window("day"),
    prices: optional(given["prices"], (found) =>
      Object.fromEntries(
        Object.entries(object(found, "budgets.prices")).map(([model, price]) => {
          const path = `budgets.prices.${model}`;
          const fields = object(price, path);
          return [model, {
            input: amount(fields["input"], `${path}.input`),
            output: amount(fields["output"], `${path}.output`),
            cache_read: amount(fields["cache_read"], `${path}.cache_read`),
            cache_write: amount(fields["cache_write"], `${path}.cache_write`),
          }];
        }),
      )),
  });
}

function totals(value: unknown, path: string): BudgetState["spent"]["run"] {
  const given = object(value, path);
  return {
    input: amount(given["input"], `${path}.input`),
    output: amount(given["output"], `${path}.output`),
    cost: amount(given["cost"], `${path}.cost`),
  };
}

/** @throws when a field is missing or of another type */
export function parseBudgetState(json: unknown): BudgetState {
  const given = object(json, "(root)");
  const spent = object(given["spent"], "spent");
  return {
    budgets: given["budgets"] === null ? null : parseBudgets(given["budgets"]),
    spent: {
      run: totals(spent["run"], "spent.run"),
      minutes: list(spent["minutes"], "spent.minutes", (item, path) => {
        if (!Array.isArray(item) || item.length !== 2) throw new ShapeError(path, "must be a pair");
        return [amount(item[0], `${path}[0]`), totals(item[1], `${path}[1]`)];
      }),
    },
    heard: amount(given["heard"], "heard"),
  };
}

function sshKey(value: unknown, path: string): BoundSshKey {
  const given = object(value, path);
  return compact<BoundSshKey>({
    name: text(given["name"], `${path}.name`),
    private_key: text(given["private_key"], `${path}.private_key`),
    hosts: list(given["hosts"], `${path}.hosts`, (item, at) => {
      const host = object(item, at);
      return { host: text(host["host"], `${at}.host`), key: text(host["key"], `${at}.key`) };
    }),
    users: optional(given["users"], (found) => list(found, `${path}.users`, text)),
    signs: list(given["signs"], `${path}.signs`, text),
    expires_at: optional(given["expires_at"], (found) => amount(found, `${path}.expires_at`)),
  });
}

function egressRule(value: unknown, path: string): EgressRule {
  const given = object(value, path);
  return compact<EgressRule>({
    host: text(given["host"], `${path}.host`),
    methods: optional(given["methods"], (found) => list(found, `${path}.methods`, text)),
    paths: optional(given["paths"], (found) => list(found, `${path}.paths`, text)),
  });
}

/** @throws when a field is missing or of another type: rules that were not understood are not used */
export function parseEgressRules(json: unknown): EgressRules {
  const given = object(json, "egress");
  return {
    allow: list(given["allow"], "egress.allow", egressRule),
    deny: list(given["deny"], "egress.deny", egressRule),
  };
}

const PLACEHOLDER = /^bureau-placeholder-[a-z0-9-]{8,200}$/;

function place(value: unknown, path: string): Place {
  const known: readonly Place[] = ["header", "address", "body", "message"];
  const found = known.find((each) => each === value);
  if (found === undefined) throw new ShapeError(path, `must be one of ${known.join(", ")}`);
  return found;
}

function placeholder(value: unknown, path: string): BoundPlaceholder {
  const given = object(value, path);
  if (!PLACEHOLDER.test(text(given["placeholder"], `${path}.placeholder`))) {
    throw new ShapeError(`${path}.placeholder`, "is no placeholder");
  }
  return compact<BoundPlaceholder>({
    placeholder: given["placeholder"] as string,
    value: text(given["value"], `${path}.value`),
    hosts: list(given["hosts"], `${path}.hosts`, text),
    places: optional(given["places"], (found) => list(found, `${path}.places`, place)),
    ca: optional(given["ca"], (found) => text(found, `${path}.ca`)),
    expires_at: optional(given["expires_at"], (found) => amount(found, `${path}.expires_at`)),
  });
}

function oauth2(value: unknown, path: string): BoundOauth2 {
  const given = object(value, path);
  const word = (name: string) => text(given[name], `${path}.${name}`);
  const maybe = (name: string) => given[name] === undefined ? undefined : word(name);
  const form = maybe("body");
  if (form !== undefined && form !== "form" && form !== "json") {
    throw new ShapeError(`${path}.body`, "must be form or json");
  }
  return compact<BoundOauth2>({
    name: word("name"),
    began: word("began"),
    marker: word("marker"),
    token_url: word("token_url"),
    client_id: word("client_id"),
    client_secret: maybe("client_secret"),
    refresh_token: word("refresh_token"),
    scope: maybe("scope"),
    access_token: maybe("access_token"),
    expires_at: optional(given["expires_at"], (found) => amount(found, `${path}.expires_at`)),
    body: form,
    ca: maybe("ca"),
  });
}

function egressAuthority(value: unknown): EgressAuthority {
  const given = object(value, "egress_authority");
  const field = (name: keyof EgressAuthority) => text(given[name], `egress_authority.${name}`);
  return {
    common_name: field("common_name"),
    key: field("key"),
    public_key: field("public_key"),
    certificate: field("certificate"),
  };
}

/** @throws with `issues` that name the field, for `readBootstrap` */
export function parseBootstrap(json: unknown): ProxyBootstrap {
  const given = object(json, "(root)");
  if (given["version"] !== 1) throw new ShapeError("version", "must be 1");
  const services: Record<string, BoundService> = {};
  for (const [name, value] of Object.entries(object(given["services"], "services"))) {
    if (!SERVICE_NAME.test(name)) throw new ShapeError("services", "has a bad service name");
    services[name] = service(value, `services.${name}`);
  }
  const matrix = given["matrix"] === null ? null : object(given["matrix"], "matrix");
  if (matrix !== null && !VALUE.test(text(matrix["access_token"], "matrix.access_token"))) {
    throw new ShapeError("matrix.access_token", "is no header value");
  }
  return {
    version: 1,
    principal: text(given["principal"], "principal"),
    server_name: text(given["server_name"], "server_name"),
    fleet: text(given["fleet"], "fleet"),
    machine: text(given["machine"], "machine"),
    room: given["room"] === null ? null : text(given["room"], "room"),
    matrix: matrix === null ? null : {
      homeserver_url: text(matrix["homeserver_url"], "matrix.homeserver_url"),
      user_id: text(matrix["user_id"], "matrix.user_id"),
      access_token: text(matrix["access_token"], "matrix.access_token"),
    },
    services,
    ...(given["budgets"] === undefined ? {} : { budgets: parseBudgets(given["budgets"]) }),
    ...(given["ssh_keys"] === undefined ? {} : {
      ssh_keys: Object.fromEntries(
        Object.entries(object(given["ssh_keys"], "ssh_keys")).map(([name, key]) => [
          name,
          sshKey(key, `ssh_keys.${name}`),
        ]),
      ),
    }),
    ...compact<Pick<ProxyBootstrap, "oauth2" | "placeholders" | "egress_authority" | "egress">>({
      placeholders: optional(
        given["placeholders"],
        (found) => list(found, "placeholders", placeholder),
      ),
      oauth2: optional(given["oauth2"], (found) => list(found, "oauth2", oauth2)),
      egress_authority: optional(given["egress_authority"], egressAuthority),
      egress: optional(given["egress"], parseEgressRules),
    }),
    ...parsePolicy(given),
  };
}
