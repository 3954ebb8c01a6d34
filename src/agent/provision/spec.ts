// SPDX-License-Identifier: Apache-2.0

/**
 * The provision contract, version 1: what a parent decided, and a worker carries out. Its JSON is the one of the
 * Rust runtime that it comes from (docs/guide/workers.md): unknown keys are ignored at every level, a missing key is its
 * default, `null` stands for a missing optional one and for nothing else.
 */
import * as z from "zod/mini";

/** What this build writes, and the newest that it reads. */
export const SPEC_VERSION = 1;
/** A spec is a few KB; more than this is a writer that has lost its way. */
export const MAX_SPEC_BYTES = 8 * 1024 * 1024;
/** Levels below the root where `max_spawn_depth` says nothing. */
export const DEFAULT_SPAWN_DEPTH = 4;

/** An unpaired surrogate has no UTF-8. */
const string = z.string().check(z.refine((text) => text.isWellFormed(), "not well-formed text"));

/** `Option<T>` of the contract: missing and `null` are one thing. */
const optional = <T extends z.ZodMiniType>(type: T) =>
  z.pipe(z.optional(z.nullable(type)), z.transform((value) => value ?? undefined));

const u32 = z.int().check(z.nonnegative(), z.lte(0xffff_ffff));
/** JavaScript has no 64 bits: a longer time than 285 million years is as good as that one. */
const seconds = z.pipe(
  z.number().check(z.nonnegative(), z.lt(2 ** 64), z.refine(Number.isInteger, "not an integer")),
  z.transform((value) => Math.min(value, Number.MAX_SAFE_INTEGER)),
);
const name = string.check(z.minLength(1), z.maxLength(512));
/** What becomes a file's path somewhere; `..` would make the walls of its place a matter of taste. */
const directory = string.check(
  z.refine((path) => path.startsWith("/"), "not an absolute path"),
  z.refine((path) => !path.includes("\0") && !path.split("/").includes(".."), "not a plain path"),
);

export const ChildIdentity = z.object({
  child_id: name,
  parent_id: optional(string),
  project_key: optional(string),
  /** Also published in the discovery record. */
  role: z._default(string.check(z.maxLength(512)), ""),
  /** 0 is the root orchestrator. What the parent says: whoever supervises it computes its own. */
  depth: z._default(u32, 0),
});
export type ChildIdentity = z.infer<typeof ChildIdentity>;

export const ExecutorSpec = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("echo") }),
  z.object({ kind: z.literal("bamboo_runtime") }),
  z.object({ kind: z.literal("cli_adapter"), command: string, args: z.array(string) }),
]);
export type ExecutorSpec = z.infer<typeof ExecutorSpec>;

export const Placement = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("local") }),
  /** A resident worker, `wss://…`. */
  z.object({ kind: z.literal("remote"), endpoint: string }),
  /** Whichever live worker of this pool is next. */
  z.object({ kind: z.literal("schedulable"), pool: string }),
]);
export type Placement = z.infer<typeof Placement>;

export const ModelRef = z.object({ provider: string, model: string });
export type ModelRef = z.infer<typeof ModelRef>;

export const Limits = z.object({
  run_timeout_secs: optional(seconds),
  idle_timeout_secs: optional(seconds),
  max_rounds: optional(u32),
});
export type Limits = z.infer<typeof Limits>;

/** Secret. */
export const ScopedCredential = z.object({
  /** The parent's routing key: a name, or an instance's id. */
  provider: string,
  api_key: string,
  base_url: optional(string),
  /** The wire protocol to speak; `provider`'s where it is missing. */
  provider_type: optional(string),
});
export type ScopedCredential = z.infer<typeof ScopedCredential>;

export const SecretsEnvelope = z.object({
  provider_credentials: z._default(z.array(ScopedCredential), []),
  /**
   * Of a later revision of the contract: the worker lets in whoever has it, and proves by it who it is. Parents here
   * make one for each worker.
   */
  worker_auth_token: optional(string.check(z.minLength(1))),
});

export const McpProxy = z.object({
  /** The orchestrator's mailbox. */
  orchestrator: string,
  endpoint: string,
  /** Secret. */
  token: string,
});
export type McpProxy = z.infer<typeof McpProxy>;

export const Capabilities = z.object({
  /** Opaque here: servers that the worker reaches itself. May hold secrets. */
  mcp: optional(z.json()),
  skills_dir: optional(directory),
  /** Wins over `mcp`; both together are not written. */
  mcp_proxy: optional(McpProxy),
  enforce_permissions: z._default(z.boolean(), false),
  nested_spawn: z._default(z.boolean(), false),
  max_spawn_depth: optional(u32),
  /**
   * Beyond the contract: where a worker with `nested_spawn` asks its parent for one, `unix:/…`. Whoever reaches it is that
   * worker, so only that one is told.
   */
  spawn_endpoint: optional(string),
  bypass: z._default(z.boolean(), false),
  no_human_approver: z._default(z.boolean(), false),
  guardian_read_only: z._default(z.boolean(), false),
});
export type Capabilities = z.infer<typeof Capabilities>;

export const ProvisionSpec = z.object({
  version: z.literal(SPEC_VERSION),
  identity: ChildIdentity,
  executor: ExecutorSpec,
  fabric_dir: directory,
  storage_dir: optional(directory),
  workspace: optional(directory),
  /** Never routed anew. */
  model: optional(ModelRef),
  /** Exact names. */
  disabled_tools: optional(z.array(string)),
  limits: z.prefault(Limits, {}),
  secrets: z.prefault(SecretsEnvelope, {}),
  reusable: z._default(z.boolean(), false),
  placement: z._default(Placement, { kind: "local" }),
  capabilities: z.prefault(Capabilities, {}),
});
export type ProvisionSpec = z.infer<typeof ProvisionSpec>;
/** With everything missing that has a default. */
export type ProvisionInput = z.input<typeof ProvisionSpec>;

/** Where a number stands, which JSON would also write as `1.0`; the contract takes digits alone. */
export const NUMBERS: ReadonlySet<string> = new Set([
  "version",
  "identity.depth",
  "limits.run_timeout_secs",
  "limits.idle_timeout_secs",
  "limits.max_rounds",
  "capabilities.max_spawn_depth",
]);

/** What must not come out of a worker, nor stand in a log. */
export function secretsOf(spec: ProvisionSpec): string[] {
  const { mcp, mcp_proxy } = spec.capabilities;
  return [
    ...spec.secrets.provider_credentials.map(({ api_key }) => api_key),
    spec.secrets.worker_auth_token ?? "",
    mcp_proxy?.token ?? "",
    ...longTexts(mcp),
  ].filter((text) => text.length > 0);
}

/** Which text of an opaque document is a secret nobody can tell; short words are none. */
function longTexts(value: unknown): string[] {
  if (typeof value === "string") return /^[^\s/]{16,}$/.test(value) ? [value] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(longTexts);
}
