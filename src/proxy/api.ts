// SPDX-License-Identifier: Apache-2.0

/**
 * The proxy's three documents: what the launcher hands it on stdin, what the daemon may say on
 * `admin.sock`, and what an agent may ask on `proxy.sock`. The proxy process imports only *types*
 * from here (zod costs a per-principal process 9 MB); it checks shapes by hand.
 */
import * as z from "zod/mini";
import { defineApi } from "../lib/http/api.ts";
import {
  Budgets,
  Denial,
  EgressRule,
  Grant,
  ProxyPolicy,
  RequestRule,
} from "../lib/schema/events.ts";

/** Fixed in-cell paths (architecture rule 2). */
export const PROXY_SOCKET = "/run/bureau/agent/proxy.sock";
/** `CONNECT`, `http://…` and WebSocket handshakes: no requests of `proxyAgentApi`. */
export const FORWARD_SOCKET = "/run/bureau/agent/forward.sock";
/** The protocol of `ssh-agent`; made where the principal has SSH keys. */
export const SSH_AGENT_SOCKET = "/run/bureau/agent/ssh-agent.sock";
export const ADMIN_SOCKET = "/run/bureau/admin/admin.sock";
export const EGRESS_SOCKET = "/run/bureau/egress/egress.sock";

/** One upstream with its secrets already resolved by the launcher. */
export const BoundService = z.object({
  /** `https://host:port/base` or, on loopback only, `http://…`. */
  upstream: z.string(),
  /** Header → full value. Secret. */
  inject_headers: z.record(z.string(), z.string()),
  strip_headers: z.array(z.string()),
  /** Parameter → value. Secret. */
  inject_query: z.optional(z.record(z.string(), z.string())),
  /** JSON pointer or form field → value. Secret. */
  inject_body: z.optional(z.record(z.string(), z.string())),
  /** Joined to the caller's of the same name: `anthropic-beta`. */
  append_headers: z.optional(z.record(z.string(), z.string())),
  /** Values that must not come back in a response header, beside those above. Secret. */
  secrets: z.optional(z.array(z.string())),
  /** Credential → ms epoch; a request after it is refused. */
  expires: z.optional(z.record(z.string(), z.number())),
  /** As in `ProxyService`. */
  allow: z.optional(z.array(RequestRule)),
  deny: z.optional(z.array(RequestRule)),
  /** PEM; absent: the system's roots. */
  ca: z.optional(z.string()),
});
export type BoundService = z.infer<typeof BoundService>;

/** An SSH key that signs in the proxy, and what for. */
export const BoundSshKey = z.object({
  /** Shown to programs as the key's comment. */
  name: z.string(),
  /** `-----BEGIN OPENSSH PRIVATE KEY-----…`. Secret. */
  private_key: z.string(),
  /** Hosts that it logs in to: `host:port`, and the host's own public key in base64. */
  hosts: z.array(z.object({ host: z.string(), key: z.string() })),
  /** Absent: as anybody. */
  users: z.optional(z.array(z.string())),
  /** Namespaces of `ssh-keygen -Y sign` that it signs in: `git` for commits and tags. */
  signs: z.array(z.string()),
  /** Ms epoch; from then on it signs nothing. */
  expires_at: z.optional(z.number()),
});
export type BoundSshKey = z.infer<typeof BoundSshKey>;

/** A credential whose value the proxy fetches. What it fetched it tells the launcher, on its stdout. */
export const BoundOauth2 = z.object({
  name: z.string(),
  /** Of the sealed login; its tokens may be later ones. Said again where new tokens are told. */
  began: z.string(),
  /** Stands for its present value in services and placeholders below. */
  marker: z.string(),
  /** As an upstream. */
  token_url: z.string(),
  client_id: z.string(),
  /** Secret. */
  client_secret: z.optional(z.string()),
  /** Secret. */
  refresh_token: z.string(),
  scope: z.optional(z.string()),
  /** Secret. */
  access_token: z.optional(z.string()),
  /** Of `access_token`, ms epoch; absent: until it is refused. */
  expires_at: z.optional(z.number()),
  /** How the token request is written; absent: `form` (RFC 6749). */
  body: z.optional(z.enum(["form", "json"])),
  /** PEM; absent: the system's roots. */
  ca: z.optional(z.string()),
});
export type BoundOauth2 = z.infer<typeof BoundOauth2>;

/** What stands for a secret in the sandbox, and where it is swapped for it. */
export const BoundPlaceholder = z.object({
  /** `bureau-placeholder-<name>-<id>`: letters, digits and hyphens. */
  placeholder: z.string(),
  /** Secret. */
  value: z.string(),
  /** `host:port`. */
  hosts: z.array(z.string()),
  /** Parts of a request that it may stand in; absent: all. */
  places: z.optional(z.array(z.enum(["header", "address", "body", "message"]))),
  /** PEM; absent: the system's roots. */
  ca: z.optional(z.string()),
  /** Ms epoch; from then on a request that holds it is refused. */
  expires_at: z.optional(z.number()),
});
export type BoundPlaceholder = z.infer<typeof BoundPlaceholder>;

/** The principal's own certificate authority, P-256. */
export const EgressAuthority = z.object({
  common_name: z.string(),
  /** PKCS #8 in base64. Secret. */
  key: z.string(),
  /** SubjectPublicKeyInfo in base64. */
  public_key: z.string(),
  /** PEM; what the sandbox trusts. */
  certificate: z.string(),
});
export type EgressAuthority = z.infer<typeof EgressAuthority>;

/** What of some hosts' requests may pass: see `EgressPolicy`. */
export const EgressRules = z.object({ allow: z.array(EgressRule), deny: z.array(EgressRule) });
export type EgressRules = z.infer<typeof EgressRules>;

/**
 * One JSON document as a line on stdin. Holds secrets. The proxy then prints `{"ready":true}\n`. A further line is another
 * document: services, placeholders, logins, SSH keys and the account are those of the last one, while grants, egress rules
 * and budgets stay as the daemon said. The proxy answers each with `{"renewed":true}\n` or `{"renewed":false,…}\n`.
 */
export const ProxyBootstrap = z.object({
  version: z.literal(1),
  /** Full localpart. */
  principal: z.string(),
  server_name: z.string(),
  fleet: z.string(),
  machine: z.string(),
  /** Room id the principal works in, if any. */
  room: z.nullable(z.string()),
  matrix: z.nullable(z.object({
    homeserver_url: z.string(),
    user_id: z.string(),
    access_token: z.string(),
  })),
  services: z.record(z.string(), BoundService),
  /** By name. Present: `ssh-agent.sock` is served. */
  ssh_keys: z.optional(z.record(z.string(), BoundSshKey)),
  placeholders: z.optional(z.array(BoundPlaceholder)),
  oauth2: z.optional(z.array(BoundOauth2)),
  /** Present: no model request passes before the daemon has said what was spent. */
  budgets: z.optional(Budgets),
  /** Absent: no TLS is ended, so hosts that need it are refused. */
  egress_authority: z.optional(EgressAuthority),
  /** Until the daemon says otherwise. */
  egress: z.optional(EgressRules),
  /** Together a `ProxyPolicy`: `checkSelf(bootstrap, action, now)` of `lib/authorization/self.ts`. */
  grants: z.array(Grant),
  denials: z.array(Denial),
});
export type ProxyBootstrap = z.infer<typeof ProxyBootstrap>;

export const ProxyStats = z.object({
  requests: z.number(),
  active: z.number(),
  upstream_errors: z.number(),
  refused: z.number(),
  bytes_in: z.number(),
  bytes_out: z.number(),
  /** Placeholders that were put into a request to another host than theirs. */
  misplaced: z.number(),
  draining: z.boolean(),
});
export type ProxyStats = z.infer<typeof ProxyStats>;

const Totals = z.object({ input: z.number(), output: z.number(), cost: z.number() });

/** The daemon keeps what was spent over the deaths of proxies. */
export const BudgetState = z.object({
  /** Null: no caps. */
  budgets: z.nullable(Budgets),
  spent: z.object({
    run: Totals,
    /** Minutes since the epoch, of the last day. */
    minutes: z.array(z.tuple([z.number(), Totals])),
  }),
  /** How many usages this watcher has heard of from this proxy: they are in `spent`. */
  heard: z.number(),
});
export type BudgetState = z.infer<typeof BudgetState>;

/** One answered model request, as the watch stream tells it. */
export const SpentUsage = z.object({
  model: z.string(),
  input: z.number(),
  output: z.number(),
  cacheRead: z.number(),
  cacheWrite: z.number(),
  /** US dollars. */
  cost: z.number(),
  /** Whether the model's price is known; else the dearest was taken. */
  priced: z.boolean(),
  /** The answer did not say, or broke off. */
  estimated: z.boolean(),
});
export type SpentUsage = z.infer<typeof SpentUsage>;

/** `admin.sock`: the daemon's line. It carries no credentials in either direction (rule 12). */
export const proxyAdminApi = defineApi({
  title: "Bureau proxy, administration",
  version: "1",
  routes: {
    health: {
      method: "GET",
      path: "/health",
      summary: "Alive",
      response: z.object({ status: z.string() }),
    },
    stats: { method: "GET", path: "/v1/stats", summary: "Counters", response: ProxyStats },
    metrics: {
      method: "GET",
      path: "/metrics",
      summary: "Counters by service and class of status, as text for Prometheus; `bureau_proxy_…`",
      kind: "text",
    },
    grants: {
      method: "PUT",
      path: "/v1/grants",
      summary: "Replace the grants and denials that agent requests are checked against",
      request: ProxyPolicy,
      response: z.object({ count: z.number() }),
    },
    egress: {
      method: "PUT",
      path: "/v1/egress",
      summary: "Replace the rules for requests to single hosts; tunnels past them are cut",
      request: EgressRules,
      response: z.object({ count: z.number() }),
    },
    budget: {
      method: "PUT",
      path: "/v1/budget",
      summary: "Replace the caps of model requests, and what was spent against them up to now",
      request: BudgetState,
      response: z.object({ ready: z.boolean() }),
    },
    approval: {
      method: "PUT",
      path: "/v1/approval",
      summary: "The answer to a tool call that the agent asks leave for",
      request: z.object({ key: z.string(), approved: z.boolean(), why: z.string() }),
      response: z.object({ asked: z.boolean() }),
    },
    drain: {
      method: "POST",
      path: "/v1/drain",
      summary: "Refuse new requests with 503 `draining`, let open ones finish",
      response: z.object({ active: z.number() }),
    },
    watch: {
      method: "GET",
      path: "/v1/watch",
      summary:
        "SSE that stays open for the proxy's life: its end tells the daemon to push grants again. Events `{refused:[{host,port,count}]}`: tunnels that no grant allowed, at most one event a second; `{usage:[…]}`; `{attention:{state,message,at}}`: what the agent says of itself; `{approvals:{asked?,taken?,left?}}`: tool calls that it asks leave for, at first those that are open; keys whose answer arrived, and whose asker gave up",
      kind: "sse",
    },
  },
});

export { proxyAgentApi } from "./agent_api.ts";
/** What stock Matrix clients may ask on the same socket. */
export { ENDPOINTS as matrixEndpoints } from "./matrix/table.ts";
