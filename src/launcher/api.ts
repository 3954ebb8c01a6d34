// SPDX-License-Identifier: Apache-2.0

/** The launcher's socket (`<run>/launcher/launcher.sock`): who may ask it to make or end a cell, and how. */
import * as z from "zod/mini";
import { defineApi } from "../lib/http/api.ts";
import { Hardware } from "./hardware_api.ts";
import { Trigger } from "../lib/schema/condition.ts";
import { Assignment, Denial, Grant, Template } from "../lib/schema/events.ts";

/** Directories of control groups that were made for this launcher; absolute. */
export const CgroupPlace = z.object({
  version: z.literal([1, 2]),
  /** By controller (`memory`, `pids`, `cpu`, `cpuacct`, `freezer`, `blkio`); for version 2 `unified` alone. */
  dirs: z.record(z.string(), z.string()),
});
export type CgroupPlace = z.infer<typeof CgroupPlace>;

/** What the operator asks of a launcher that lives for one sandbox (`bureau sandbox run` and `check`). */
export const SandboxRequest = z.object({
  /** Resolved: without `inherits`. */
  template: Template,
  /** Pinned like an agent's: real directories or files, no link on the way. */
  binds: z.array(z.object({ source: z.string(), dest: z.string(), mode: z.enum(["ro", "rw"]) })),
  /** Empty: the template's. */
  command: z.array(z.string()),
  /** The program gets a terminal of its own on the caller's. */
  terminal: z.boolean(),
  /** Where the caller stood; the program starts there when a bind holds it. */
  directory: z.optional(z.string()),
  /** Absent: nothing but the sandbox's own loopback. */
  network: z.optional(z.object({
    /** Secret. By name of the variable that holds the placeholder. */
    credentials: z.record(
      z.string(),
      z.object({
        value: z.string(),
        allowed_hosts: z.array(z.string()),
        places: z.array(z.enum(["header", "address", "body", "message"])),
      }),
    ),
    /** PEM of an authority that upstreams are verified against, instead of the system's. */
    ca: z.optional(z.string()),
  })),
  /** `check`: beside this live principal instead of in a fresh sandbox. */
  principal: z.optional(z.string()),
});
export type SandboxRequest = z.infer<typeof SandboxRequest>;

/** What the gate of one run gets on stdin. Holds no secret. */
export const GateBootstrap = z.object({
  principal: z.string(),
  /** As in `EgressPolicy`, presets replaced. */
  allow: z.array(z.string()),
  deny: z.array(z.string()),
});
export type GateBootstrap = z.infer<typeof GateBootstrap>;

/** What `check` prints. */
export const CheckReport = z.object({
  principal: z.nullable(z.string()),
  results: z.array(z.object({
    id: z.string(),
    title: z.string(),
    defence: z.string(),
    verdict: z.enum(["held", "breached", "not-applicable", "failed"]),
    note: z.string(),
  })),
});
export type CheckReport = z.infer<typeof CheckReport>;

/**
 * What the launcher gets on stdin. All paths absolute. It listens on `<run>/launcher/launcher.sock`
 * and keeps its journal in `<state>/launcher/`.
 */
export const LauncherBootstrap = z.object({
  version: z.literal(1),
  /**
   * `preflight` prints a `PreflightReport` as one JSON line on stdout and exits. `run` makes the sandbox that
   * `sandbox` asks for on the descriptors 4, 5 and 6, and exits with its status; `check` tries the probes in
   * one and prints a `CheckReport` as one JSON line on stdout. `prove` answers `challenge` with a `KeyProof`.
   */
  mode: z.enum(["serve", "preflight", "run", "check", "prove"]),
  run_dir: z.string(),
  state_dir: z.string(),
  /** Holds `deno`, `deno.json` and `<role>.js`; bound read-only into cells at `/opt/bureau`. */
  runtime_dir: z.string(),
  /** Where systemd put the unsealed machine's key; absent: `<state>/launcher/machine-key.txt`. */
  machine_key_file: z.optional(z.string()),
  /** `LauncherPolicy` as JSON, owned by the operator; re-read on every request. */
  policy_path: z.string(),
  /** `@…/machine/<name>:server`. */
  machine: z.string(),
  server_name: z.string(),
  /** Where proxies and relays log the permissions they use, bound into their cells; absent: nowhere. */
  audit_dir: z.optional(z.string()),
  sandbox: z.optional(SandboxRequest),
  /** Absent: this machine gave none, and limits but those of prlimit are not enforced. */
  cgroups: z.optional(CgroupPlace),
  /** Of a boot file, with `prove`; see `lib/sealed/possession.ts`. */
  challenge: z.optional(z.string()),
});
export type LauncherBootstrap = z.infer<typeof LauncherBootstrap>;

/** That the machine's key is this launcher's. */
export const KeyProof = z.object({ public_key: z.string(), proof: z.string() });
export type KeyProof = z.infer<typeof KeyProof>;

/** The machine-local policy file (architecture rule 12). The operator writes it, the launcher obeys it. */
export const LauncherPolicy = z.object({
  version: z.literal(1),
  /** Ed25519 public keys (unpadded base64url, 32 bytes) whose signatures on assignments count. */
  operator_keys: z.array(z.string()),
  /** Host directories below which a template may bind. */
  bind_roots: z.array(z.object({ path: z.string(), mode: z.enum(["ro", "rw"]) })),
  /** `isolation: none` is refused unless this names the principal. */
  passthrough: z.array(z.string()),
  /** Devices that templates may ask for: `dri`, `nvidia`, `kvm`, or a node's path. Absent: none. */
  devices: z.optional(z.array(z.string())),
  /** Seccomp profiles that templates may ask for beside `default` and `networkless`. Absent: none. */
  seccomp: z.optional(z.array(z.enum(["nested-tools"]))),
  /** Ceiling per principal. */
  limits: z.object({
    memory_limit_mb: z.number(),
    pids_limit: z.number(),
    /** Of one processor. Absent: all of them. */
    cpu_quota_percent: z.optional(z.number()),
    /** Of one directory. Absent: 4096. */
    scratch_mb: z.optional(z.number()),
    /** Open files in one process. Absent: 4096. */
    files: z.optional(z.number()),
  }),
});
export type LauncherPolicy = z.infer<typeof LauncherPolicy>;

export const PreflightFinding = z.object({
  /** Stable id, e.g. `bwrap.version`. */
  check: z.string(),
  severity: z.enum(["ok", "warning", "error"]),
  message: z.string(),
  /** A command, or a sentence, that mends it. */
  hint: z.optional(z.string()),
});
export type PreflightFinding = z.infer<typeof PreflightFinding>;
export const PreflightReport = z.object({ findings: z.array(PreflightFinding) });
export type PreflightReport = z.infer<typeof PreflightReport>;

export const ExitStatus = z.object({
  code: z.number(),
  /** Signal number when a signal ended it (then code is 128 + signal). */
  signal: z.nullable(z.number()),
  at: z.number(),
  /** The last screen lines, at most 500. Hostile text: neutralise before showing. */
  output: z.array(z.string()),
  /** The limit that ended it, e.g. `killed: memory limit 512 MiB`. */
  reason: z.optional(z.string()),
});
export type ExitStatus = z.infer<typeof ExitStatus>;

/** What stood on a principal's terminal. Hostile text: neutralise before showing. */
export const PrincipalOutput = z.object({
  /** The last lines of screen and history; null while it does not run. */
  now: z.nullable(z.array(z.string())),
  /** How its program ended the last time, and what stood there then; null: never. */
  last: z.nullable(ExitStatus),
});
export type PrincipalOutput = z.infer<typeof PrincipalOutput>;

export const Phase = z.enum(["starting", "running", "stopping", "exited", "failed"]);
export type Phase = z.infer<typeof Phase>;

/**
 * Grows with every change of any principal while this launcher lives. Answers and the event stream come
 * over different connections: of two states of one principal the one with the larger revision is newer.
 */
export const Revision = z.number();

/** As its health check has it. */
export const Health = z.object({
  state: z.enum(["starting", "healthy", "unhealthy"]),
  since: z.number(),
  /** Why not. */
  message: z.nullable(z.string()),
});
export type Health = z.infer<typeof Health>;

export const Principal = z.object({
  /** Full localpart, e.g. `bureau/fleet/dev/agent/scribe`. */
  principal: z.string(),
  user_id: z.string(),
  /** Directory name under `<run>/p/`. */
  hash: z.string(),
  phase: Phase,
  /** Of the assignment this cell was made from. */
  issued_at: z.number(),
  /** SHA-256 over everything that needs a restart to change; see `launcher/spec.ts`. */
  spec_digest: z.string(),
  /** SHA-256 of the credentials ciphertext in use, or null. */
  credentials_digest: z.nullable(z.string()),
  started_at: z.number(),
  exit: z.nullable(ExitStatus),
  proxy: z.object({ ready: z.boolean(), restarts: z.number() }),
  /** Why it failed. */
  message: z.nullable(z.string()),
  /** Stopped in its tracks by `freeze`; absent: not. */
  frozen: z.optional(z.boolean()),
  /** Absent: it has no health check, or does not run. */
  health: z.optional(Health),
  /** Present where the last good spec runs in the place of the assignment's. */
  rolled_back: z.optional(z.object({
    /** Digest of the spec that is not tried again. */
    spec_digest: z.string(),
    why: z.string(),
    at: z.number(),
  })),
  /** Of this state; see `Revision`. */
  revision: Revision,
});
export type Principal = z.infer<typeof Principal>;

/** Of a principal's sandbox, from the kernel's counters; null where this machine does not count. */
export const Usage = z.object({
  memory_bytes: z.nullable(z.number()),
  memory_peak_bytes: z.nullable(z.number()),
  memory_limit_bytes: z.nullable(z.number()),
  oom_kills: z.nullable(z.number()),
  pids: z.nullable(z.number()),
  pids_limit: z.nullable(z.number()),
  /** Forks that the limit refused. */
  pids_refused: z.nullable(z.number()),
  cpu_ms: z.nullable(z.number()),
  /** Periods in which its quota was used up. */
  cpu_throttled: z.nullable(z.number()),
  frozen: z.boolean(),
});
export type Usage = z.infer<typeof Usage>;

export const CreateRequest = z.object({
  /** Verified against `operator_keys`, `machine` and replay before anything else. */
  assignment: Assignment,
  /** Resolved (no `inherits`); its digest must equal `assignment.template_digest`. */
  template: Template,
  /** `sealedText()` of `lib/sealed`, or null for a principal without credentials. */
  credentials: z.nullable(z.string()),
  /** Effective grants and denials (a `ProxyPolicy`) that the proxy starts with. */
  grants: z.array(Grant),
  denials: z.array(Denial),
  /** What met its start condition. The daemon's word: nobody signed it. */
  trigger: z.optional(Trigger),
});
export type CreateRequest = z.infer<typeof CreateRequest>;

export const LauncherStatus = z.object({
  version: z.string(),
  pid: z.number(),
  started_at: z.number(),
  machine: z.string(),
  /** `age1…` */
  public_key: z.string(),
  principals: z.number(),
});

/** One line of the event stream. */
export const LauncherEvent = z.object({
  type: z.enum(["principal", "removed", "proxy"]),
  principal: z.string(),
  /** Present for `principal` and `proxy`. */
  status: z.optional(Principal),
  revision: Revision,
});
export type LauncherEvent = z.infer<typeof LauncherEvent>;

export const launcherApi = defineApi({
  title: "Bureau launcher",
  version: "1",
  routes: {
    status: {
      method: "GET",
      path: "/v1/status",
      summary: "Who and what runs",
      response: LauncherStatus,
    },
    hardware: {
      method: "GET",
      path: "/v1/hardware",
      summary: "What this machine is made of, read anew",
      response: Hardware,
    },
    metrics: { method: "GET", path: "/metrics", summary: "Text for Prometheus", kind: "text" },
    list: {
      method: "GET",
      path: "/v1/principals",
      summary: "All principals this launcher owns, live or exited",
      response: z.object({ principals: z.array(Principal), revision: Revision }),
    },
    show: {
      method: "GET",
      path: "/v1/principals/:principal",
      summary: "One principal",
      response: Principal,
    },
    create: {
      method: "PUT",
      path: "/v1/principals/:principal",
      summary:
        "Make proxy and sandbox as the signed assignment says. Idempotent: the same assignment returns the running one; a newer one replaces an exited one, and is refused (409 `running`) while another spec runs. Other credentials alone reach the running proxy; those that change what the sandbox itself holds are refused so too. One that runs as a newer assignment says is that one's from then on",
      query: {
        unless_ended: "`1`: one that has ended is answered as it is, instead of being replaced",
      },
      request: CreateRequest,
      response: Principal,
    },
    destroy: {
      method: "DELETE",
      path: "/v1/principals/:principal",
      summary: "End sandbox, proxy, relay and their directories. Idempotent",
      query: {
        grace_ms: "time between the polite signal and the kill; 0 kills at once; default 5000",
        started_at: "only the cell with this `started_at`; 409 `another` when it is a later one",
      },
      response: z.object({ removed: z.boolean(), revision: Revision }),
    },
    rights: {
      method: "PUT",
      path: "/v1/principals/:principal/rights",
      summary: "Remember what its next proxy may do; 409 `another` when it was started anew since",
      query: { started_at: "of the cell that is meant" },
      request: z.object({ grants: z.array(Grant), denials: z.array(Denial) }),
      response: z.object({ kept: z.boolean() }),
    },
    retire: {
      method: "PUT",
      path: "/v1/principals/:principal/retirement",
      summary:
        "Remember a signed assignment that wants it stopped or absent: nothing older starts it again",
      request: z.object({ assignment: Assignment }),
      response: z.object({ newest: z.number() }),
    },
    wait: {
      method: "GET",
      path: "/v1/principals/:principal/wait",
      summary: "Answers when the sandbox has exited",
      response: ExitStatus,
    },
    relay: {
      method: "POST",
      path: "/v1/principals/:principal/relay",
      summary: "Make sure an observation relay listens on `<run>/p/<hash>/observe/relay.sock`",
      response: z.object({ socket: z.string() }),
    },
    offer: {
      method: "POST",
      path: "/v1/principals/:principal/offer",
      summary:
        "The socket that a service made in its sandbox, as a path that the sandbox can't lead elsewhere; 409 `no-socket` while there is none",
      response: z.object({ socket: z.string() }),
    },
    usage: {
      method: "GET",
      path: "/v1/principals/:principal/usage",
      summary: "What its sandbox uses now; 409 `no-cgroups` where the machine does not count",
      response: Usage,
    },
    output: {
      method: "GET",
      path: "/v1/principals/:principal/output",
      summary:
        "What stands on its terminal, and what stood there when its program last ended; sealed values are taken out",
      query: { lines: "the last so many of each; default and at most 500" },
      response: PrincipalOutput,
    },
    freeze: {
      method: "POST",
      path: "/v1/principals/:principal/freeze",
      summary: "Stop every process of its sandbox in its tracks. Idempotent; its proxy goes on",
      response: Principal,
    },
    thaw: {
      method: "POST",
      path: "/v1/principals/:principal/thaw",
      summary: "Let a frozen sandbox go on. Idempotent",
      response: Principal,
    },
    kill: {
      method: "POST",
      path: "/v1/principals/:principal/kill",
      summary: "Kill every process of its sandbox at once; it is shown as exited with status 137",
      response: z.object({ killed: z.boolean() }),
    },
    events: {
      method: "GET",
      path: "/v1/events",
      summary: "SSE: first one `principal` event each, then every change as `LauncherEvent`",
      kind: "sse",
    },
  },
});
