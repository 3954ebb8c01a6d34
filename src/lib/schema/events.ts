// SPDX-License-Identifier: Apache-2.0

/**
 * The Matrix events that decide what runs, as zod schemas. Every consumer parses with these at the
 * edge and checks the *sender* (architecture rule 7): a schema says what an event means, never that
 * its sender was allowed to say it.
 *
 * State keys are `<localpart>:<server>`, the user id without its `@`.
 */
import * as z from "zod/mini";
import { StartCondition } from "./condition.ts";
import { AttentionSettings } from "./attention.ts";
import { WrittenBudgets } from "./budgets.ts";
import { HealthCheck } from "./health.ts";
import { Recording } from "./recording.ts";
import { AuthorizationPolicy } from "./policy.ts";
import { Signature } from "./signature.ts";

export * from "./credential_part.ts";
export * from "./credentials.ts";
export * from "./budgets.ts";
export * from "./event_type.ts";
export * from "./policy.ts";
export { Signature };

const names = z.record(z.string(), z.string());
const words = z.array(z.string());

/** A mount of the sandbox. An absent mode is read-only (W-26: never read-write by omission). */
export const Mount = z.object({
  /** Host path of a bind; absent for tmpfs. `${NAME}` variables are expanded. */
  source: z.optional(z.string()),
  /** Where it is inside, absolute. */
  dest: z.string(),
  /** Absent or empty: `bind`. */
  type: z.optional(z.enum(["", "bind", "tmpfs"])),
  /** Absent: `ro`. */
  mode: z.optional(z.enum(["ro", "rw"])),
  /** tmpfs: `size=<bytes>`. */
  options: z.optional(z.string()),
  /** A missing source is skipped instead of refused. */
  optional: z.optional(z.boolean()),
});
export type Mount = z.infer<typeof Mount>;

/**
 * Requests of a service, by method and path. The path is what follows `/http/<name>`, normalised: dot
 * segments and double slashes gone, unreserved characters decoded, `%2F` kept.
 */
export const RequestRule = z.object({
  /** In upper case; absent: every method. `GET` speaks for `HEAD` too. */
  methods: z.optional(words),
  /** Patterns of `lib/glob` over the path without its first slash: `v1/messages`, `repos/me/**`. */
  paths: words,
});
export type RequestRule = z.infer<typeof RequestRule>;

/** How the proxy reaches one upstream under `/http/<name>/`. */
export const ProxyService = z.object({
  /** `https://host[:port][/base]`; plain http only for loopback and only when sealed so. */
  upstream: z.string(),
  /** Header → name of a credential in the sealed bundle. */
  inject_headers: z.optional(names),
  /** Headers removed from the caller's request besides the injected ones. */
  strip_headers: z.optional(words),
  /** Prefix put before the value on `Authorization`, e.g. `Bearer`. */
  auth_scheme: z.optional(z.string()),
  /** Query parameter → name of a credential; the caller's own of that name are removed. */
  inject_query: z.optional(names),
  /**
   * JSON pointer (`/auth/token`) or name of a form field → name of a credential, for requests with a body: one
   * of another kind is refused, and one of more than 1 MiB.
   */
  inject_body: z.optional(names),
  /** HTTP basic authentication (RFC 7617); the password is the name of a credential. */
  basic_auth: z.optional(z.object({
    /** In clear. */
    username: z.string(),
    /** Name of a credential. */
    password: z.string(),
  })),
  /** Absent: every request may pass. A malformed pattern allows nothing. */
  allow: z.optional(z.array(RequestRule)),
  /** Wins over `allow`. A malformed pattern refuses everything. */
  deny: z.optional(z.array(RequestRule)),
});
export type ProxyService = z.infer<typeof ProxyService>;

/** An SSH key that the principal's proxy signs with; it never leaves the proxy. */
export const SshKey = z.object({
  /** Name of a credential: an OpenSSH private key without a passphrase, with `known_hosts`. */
  credential: z.string(),
  /** Whom it logs in as: `git`. Absent: anybody. */
  users: z.optional(words),
  /** Namespaces of `ssh-keygen -Y sign` that it signs in: `git` for commits and tags. Absent: none. */
  signs: z.optional(words),
});
export type SshKey = z.infer<typeof SshKey>;

/** A destination of which only some requests may pass. The proxy reads them: TLS with it is terminated there. */
export const EgressRule = z.object({
  /** `host:port` or `*.suffix:port`. */
  host: z.string(),
  /** As in `RequestRule`. */
  methods: z.optional(words),
  /** As in `RequestRule`, over the whole path; absent: every path. */
  paths: z.optional(words),
});
export type EgressRule = z.infer<typeof EgressRule>;

/** A destination, or some requests to it. */
export const EgressEntry = z.union([z.string(), EgressRule]);
export type EgressEntry = z.infer<typeof EgressEntry>;

/** Destinations the egress gate lets a principal's proxy reach. Absent: none. */
export const EgressPolicy = z.object({
  /**
   * `host:port`, `*.suffix:port`, an IP literal with port (a private address only when named so), or
   * `preset:<name>` of `lib/template/presets.ts`. A rule with methods or paths narrows its host, whatever
   * else lets the gate reach it.
   */
  allow: z.array(EgressEntry),
  /** Of the same forms; wins over `allow`. A malformed entry refuses everything. */
  deny: z.optional(z.array(EgressEntry)),
  /**
   * What neither list decides and one of these matches is held until an operator answers: `host:port`,
   * `*.suffix:port`, `*:port` (every host) or `preset:<name>`. A malformed entry asks about nothing.
   */
  ask: z.optional(words),
  /** Seconds until an unanswered question is a denial; 10 to 540, default 120. */
  ask_timeout: z.optional(z.number()),
});
export type EgressPolicy = z.infer<typeof EgressPolicy>;

export const RestartPolicy = z.enum(["always", "on-failure", "never"]);
export type RestartPolicy = z.infer<typeof RestartPolicy>;

/** Where a sandbox's programs come from: the host's /usr, a directory with a root file system, or a Nix closure. */
export const Sysroot = z.union([
  z.literal("host"),
  /** Host directory below a bind root, with `usr` and what `bin`, `lib` and the like are in it. */
  z.object({
    /** Absolute, on the host. */
    rootfs: z.string(),
  }),
  /** A `closureInfo` store path, or a file that lists a closure's store paths, one a line. */
  z.object({
    /** Absolute, on the host. */
    nix: z.string(),
  }),
]);
export type Sysroot = z.infer<typeof Sysroot>;

/** A credential that the sandbox holds a placeholder of: in a variable, in a file, or in both. */
export const Secret = z.object({
  /** Name of the credential in the sealed bundle. */
  key: z.string(),
  /** Environment variable. */
  env: z.optional(z.string()),
  /** Name of a file in `/run/bureau/secrets`. */
  file: z.optional(z.string()),
});
export type Secret = z.infer<typeof Secret>;

/** `m.bureau.template`, state key = template name, in a template room. */
export const Template = z.object({
  /** For people, one line. */
  description: z.optional(z.string()),
  /** `none`: without a sandbox, where the machine's policy has an exception for it. Absent or empty: `standard`. */
  isolation: z.optional(z.enum(["", "standard", "none"])),
  /** Template references `<room localpart>[@server]:<name>`, merged left to right. */
  inherits: z.optional(words),
  /** Program and arguments; the program absolute, inside the sandbox. */
  command: z.optional(words),
  /** Nix store path that its programs come from, as `sysroot: {nix: …}`, in whose place it stands. */
  environment: z.optional(z.string()),
  /** `${NAME}` variables are expanded. */
  environment_variables: z.optional(names),
  /** Lists of paths that are put before what the variable holds, with colons: `PATH`. */
  prepend_variables: z.optional(z.record(z.string(), words)),
  /** What the sandbox sees besides its system. */
  filesystem: z.optional(z.array(Mount)),
  /** What it may take. Absent: what the machine's policy allows. */
  resources: z.optional(z.object({
    /** 1024 is what everything else has; `cpu_weight` in the measure of old. */
    cpu_shares: z.optional(z.number()),
    /** MiB. Absent: what the machine's policy allows. */
    memory_limit_mb: z.optional(z.number()),
    /** Processes and threads. Absent: what the machine's policy allows. */
    pids_limit: z.optional(z.number()),
    /** 1 to 10000; 100 is what everything else has. Instead of `cpu_shares`. */
    cpu_weight: z.optional(z.number()),
    /** Of one processor: 150 is one and a half. */
    cpu_quota_percent: z.optional(z.number()),
    /** 1 to 10000, where the disk's scheduler knows weights. */
    io_weight: z.optional(z.number()),
    /** MiB a second from each disk, and as much to it. Absent: no limit. */
    io_mb_per_second: z.optional(z.number()),
    /** Swap beside the memory limit. Absent: none. */
    memory_swap_mb: z.optional(z.number()),
    /** Of each directory in `create_dirs` and each `tmpfs` without a size. Absent: 64. */
    scratch_mb: z.optional(z.number()),
    /** Open files in one process. Absent: 4096. */
    files: z.optional(z.number()),
  })),
  /** Empty directories that it may write in, in memory; absolute. */
  create_dirs: z.optional(words),
  /** Absent: `host`. */
  sysroot: z.optional(Sysroot),
  /** `dri`, `nvidia`, `kvm` or `/dev/…`; with a `?` at its end it may be missing. The policy must allow each. */
  devices: z.optional(words),
  /** More names in each writable bind that stay read-only, relative: `ci/hooks`. */
  protected_paths: z.optional(words),
  /**
   * Which system calls the kernel refuses: `networkless` also refuses Internet sockets on the sandbox's own
   * loopback, `nested-tools` allows debuggers where the machine's policy does. Default `default`.
   */
  seccomp: z.optional(z.enum(["default", "networkless", "nested-tools"])),
  /** One label of a host name. Absent: `sandbox`. */
  hostname: z.optional(z.string()),
  /**
   * Whether programs that only speak TCP reach the proxy: `http://127.0.0.1:8642`, which `HTTP_PROXY` and
   * `HTTPS_PROXY` name. Absent: no; what speaks to a Unix socket needs none.
   */
  bridge: z.optional(z.boolean()),
  /**
   * It is a service: it listens on `/run/bureau/listen/service.sock`, and others of its fleet call it through
   * the roles that are bound to it.
   */
  service: z.optional(z.object({
    /** For people. */
    description: z.optional(z.string()),
    /** What it offers, for whoever looks for one. */
    capabilities: z.optional(words),
  })),
  /** Role → command, for whoever starts it in that role. */
  roles: z.optional(z.record(z.string(), words)),
  /** Names of credentials without which it is not started. */
  required_credentials: z.optional(words),
  /** Roles whose sockets and tokens it gets; an operator binds each to a service. */
  required_services: z.optional(words),
  /** Roles that it uses where they are filled, and does without where not; an override leaves them as they are. */
  optional_services: z.optional(words),
  /** What `/run/bureau/payload.json` holds, under the assignment's. */
  default_payload: z.optional(z.record(z.string(), z.unknown())),
  /** Whether it works, found out while it runs; one that does not is started anew. Absent: it runs, so it works. */
  health: z.optional(HealthCheck),
  /** What the program is told when its payload was replaced, if it catches that signal. Absent: nothing. */
  reload: z.optional(z.enum(["sighup"])),
  /** What is kept of its terminal. Absent: all of it, for a while. */
  recording: z.optional(Recording),
  /** By name: `/http/<name>/` of the proxy. */
  proxy_services: z.optional(z.record(z.string(), ProxyService)),
  /** By name; the sandbox reaches them through `SSH_AUTH_SOCK`. */
  ssh_keys: z.optional(z.record(z.string(), SshKey)),
  /**
   * Environment variable → name of a credential in the sealed bundle. Its value there is a placeholder, which
   * the proxy swaps for the secret in requests to the credential's `allowed_hosts`.
   */
  placeholders: z.optional(names),
  /** As `placeholders`, and in files. One for each `key`. */
  secrets: z.optional(z.array(Secret)),
  /** Where it may connect to. Absent: nowhere. */
  egress: z.optional(EgressPolicy),
  /** Hot: a change needs no restart. */
  budgets: z.optional(WrittenBudgets),
  /** When it needs a person. */
  attention: z.optional(AttentionSettings),
  /** What it may do, and others to it. */
  authorization: z.optional(AuthorizationPolicy),
  /** When it is started again. Absent: `always`. */
  restart_policy: z.optional(RestartPolicy),
});
export type Template = z.infer<typeof Template>;

/**
 * `m.bureau.assignment`, one event per principal (W-32), state key = the principal, in the machine's
 * config room. `desired:"absent"` is a signed removal; an event with no fields is a cleared state.
 */
export const Assignment = z.object({
  /** Another one was written by a newer Bureau, and is refused. */
  version: z.literal(1),
  /** `@localpart:server`. */
  principal: z.string(),
  /** User id of the machine that shall run it. */
  machine: z.string(),
  /** Template reference; the signature covers what it resolved to through `template_digest`. */
  template: z.string(),
  /** SHA-256 hex of the canonical JSON of the resolved template. */
  template_digest: z.string(),
  /** What shall be; `absent` takes it from the machine. */
  desired: z.enum(["running", "stopped", "absent"]),
  /** In the place of the template's. */
  restart_policy: z.optional(RestartPolicy),
  /** The room the principal works in; its proxy and its status events use it. */
  room: z.optional(z.string()),
  /** For people and for layouts. */
  labels: z.optional(names),
  /** Values for `${NAME}` in the template's mounts, environment and create_dirs. */
  variables: z.optional(names),
  /** More template references, laid on top of the resolved template from left to right; the digest covers them. */
  extra_inherits: z.optional(words),
  /** In the place of the template's `command`. */
  command_override: z.optional(words),
  /** In the place of the template's `environment`. */
  environment_override: z.optional(z.string()),
  /** In the place of the template's `required_services`; empty: none. */
  required_services_override: z.optional(words),
  /** In the place of the template's `secrets`; empty: none. */
  secrets_override: z.optional(z.array(Secret)),
  /** More variables; they win over the template's. */
  extra_environment_variables: z.optional(names),
  /** On top of the template's `default_payload`, key by key. */
  payload: z.optional(z.record(z.string(), z.unknown())),
  /** How long it has to end politely when it is to stop; 0 to 600, absent: 5. */
  stop_grace_seconds: z.optional(z.int().check(z.minimum(0), z.maximum(600))),
  /** It runs only while this holds. */
  start_condition: z.optional(StartCondition),
  /** Added to the template's. */
  authorization: z.optional(AuthorizationPolicy),
  /** Added to the template's egress policy. */
  egress: z.optional(EgressPolicy),
  /** Each window that is named here replaces the template's. */
  budgets: z.optional(WrittenBudgets),
  /** User id of the operator who signed it. */
  issued_by: z.string(),
  /** Milliseconds since the epoch; a launcher refuses one older than the newest it has seen (replay). */
  issued_at: z.number(),
  signature: Signature,
});
export type Assignment = z.infer<typeof Assignment>;

/** `m.bureau.principal_status`, state key = the principal, in the config room, sent by the machine. */
export const PrincipalStatus = z.object({
  /** User id. */
  principal: z.string(),
  /** What it does. */
  phase: z.enum(["starting", "running", "exited", "stopped", "failed", "backing-off", "waiting"]),
  /** Since when, ms epoch. */
  since: z.number(),
  /** Since it was assigned. */
  restarts: z.number(),
  /** Of its last end; null where a signal ended it. */
  exit_code: z.optional(z.nullable(z.number())),
  /** Why, when failed or backing off: an actionable sentence. */
  message: z.optional(z.string()),
  /** What to do about it. */
  hint: z.optional(z.string()),
  /** Of the assignment this speaks of: a one-shot that completed under it is not run again. */
  issued_at: z.optional(z.number()),
  /** Of the last assignment under which it ran to its end, whatever became of it since. */
  completed_issued_at: z.optional(z.number()),
  /** `crash-loop`: it crashed too often, and is left alone until somebody edits what is wanted of it. */
  reason: z.optional(z.string()),
  /** Present where it has a health check and runs. */
  health: z.optional(z.enum(["starting", "healthy", "unhealthy"])),
  /** Present where its last good version runs in the place of one that failed: why. */
  rolled_back: z.optional(z.string()),
  /** Present where it runs without a sandbox, by the exception in the machine's policy. */
  isolation: z.optional(z.literal("none")),
});
export type PrincipalStatus = z.infer<typeof PrincipalStatus>;
