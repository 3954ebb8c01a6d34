// SPDX-License-Identifier: Apache-2.0

/**
 * What the agent service keeps of agents: their sessions with a log, the commits of their context, and what both took.
 * Whose token it is says whose things are meant; others' need `service/<role>/read` or `write` on them.
 */
import * as z from "zod/mini";
import { defineApi } from "../../lib/http/api.ts";
import { SessionCounts } from "../../lib/schema/agent_session.ts";

const count = z.int().check(z.nonnegative());

/** Of a session, or of all of an agent's: what its log told. */
export const Metrics = z.extend(SessionCounts, { usd: z.number().check(z.nonnegative()) });
export type Metrics = z.infer<typeof Metrics>;

export const NO_METRICS: Metrics = {
  turns: 0,
  tool_calls: 0,
  tool_errors: 0,
  errors: 0,
  input_tokens: 0,
  output_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  usd: 0,
  working_ms: 0,
};

const text = z.string().check(z.minLength(1), z.maxLength(200));

export const Session = z.object({
  /** User id. */
  agent: z.string(),
  session_id: text,
  /** `claude`, `codex`, `native`. */
  program: z.nullable(z.string()),
  /** Ms since the epoch, as all times here. */
  started_at: z.int(),
  /** Null: it goes on. */
  ended_at: z.nullable(z.int()),
  /** `superseded`: the next one began, and it had not said its end. */
  outcome: z.nullable(z.enum(["ended", "superseded"])),
  /** Bytes that its log has had so far: where the next piece goes. */
  log_bytes: count,
  /** Bytes of it that can be read. */
  log_kept: count,
  metrics: Metrics,
});
export type Session = z.infer<typeof Session>;

export const StartSession = z.object({
  session_id: text,
  program: z.optional(text),
  /** The active session in whose place it begins: what a crashed program never ended. */
  supersede: z.optional(text),
});
export type StartSession = z.infer<typeof StartSession>;

export const CONTEXT_FORMATS = [
  "events-v1",
  "bureau-agent-v1",
  "claude-code-v1",
  "codex-v1",
] as const;

const COMMIT_ID = /^ctx-[0-9a-f]{64}$/;

/** The first line of a checkpoint's body; its content is the rest. */
export const Checkpoint = z.object({
  /** The commit that it follows. Null: it begins a chain. */
  parent: z.nullable(z.string().check(z.regex(COMMIT_ID))),
  /** `delta`: what came after its parent. Both others stand for everything up to them. */
  type: z.enum(["delta", "compaction", "snapshot"]),
  format: z.enum(CONTEXT_FORMATS),
  session_id: z.nullable(text),
  checkpoint: z.enum(["turn", "tool-call", "compaction", "session-end", "explicit"]),
  summary: z.optional(z.string().check(z.maxLength(1000))),
  messages: z.optional(count),
  tokens: z.optional(count),
});
export type Checkpoint = z.infer<typeof Checkpoint>;

export const Commit = z.extend(Checkpoint, {
  id: z.string().check(z.regex(COMMIT_ID)),
  /** User id of whose it is. */
  agent: z.string(),
  bytes: count,
  /** SHA-256 of its content. */
  content: z.string(),
  created_at: z.int(),
});
export type Commit = z.infer<typeof Commit>;

export const SessionList = z.object({
  active: z.nullable(Session),
  /** Newest first. */
  sessions: z.array(Session),
});

export const CommitList = z.object({
  /** The newest, which the next one follows. */
  tip: z.nullable(z.string()),
  commits: z.array(Commit),
  /** Where the next page begins. Null: there is none. */
  next: z.nullable(z.string()),
});

export const MetricsAnswer = z.object({
  agent: z.string(),
  sessions: count,
  total: Metrics,
  /** Null: none goes on. */
  active: z.nullable(z.object({ session_id: z.string(), metrics: Metrics })),
});

export type MetricsAnswer = z.infer<typeof MetricsAnswer>;

const AGENT = "`:agent` is a user id, or `me`";

export const agentServiceApi = defineApi({
  title: "Bureau agent service",
  version: "1",
  routes: {
    startSession: {
      method: "POST",
      path: "/v1/sessions",
      summary:
        "Begin a session of one's own, or go on with it; 409 `session-active` names another one that has not ended",
      request: StartSession,
      response: Session,
    },
    endSession: {
      method: "POST",
      path: "/v1/sessions/:session/end",
      summary: "End it. One that has ended stays as it is",
      response: Session,
    },
    appendLog: {
      method: "POST",
      path: "/v1/sessions/:session/log",
      summary:
        "Add lines of JSON (agent events) to the log of the active session; a stream. 409 `wrong-offset` unless they go where it ends",
      query: { offset: "bytes that the log has: `log_bytes`" },
      response: z.object({ log_bytes: count }),
    },
    sessions: {
      method: "GET",
      path: "/v1/agents/:agent/sessions",
      summary: `Its sessions; ${AGENT}`,
      query: { limit: "at most so many, 20 unless named, 1000 at most" },
      response: SessionList,
    },
    session: {
      method: "GET",
      path: "/v1/agents/:agent/sessions/:session",
      summary: "One session",
      response: Session,
    },
    log: {
      method: "GET",
      path: "/v1/agents/:agent/sessions/:session/log",
      summary: "What is kept of its log, as it stands",
      query: { offset: "bytes to leave out" },
      kind: "text",
    },
    processMetrics: {
      method: "GET",
      path: "/metrics",
      summary: "How the service itself does, as text for Prometheus; the machine alone may ask",
      kind: "text",
    },
    metrics: {
      method: "GET",
      path: "/v1/agents/:agent/metrics",
      summary: "What all its sessions took, each counted once, and the active one",
      response: MetricsAnswer,
    },
    checkpoint: {
      method: "POST",
      path: "/v1/agents/:agent/context",
      summary:
        "Commit context: one line of JSON (parent, type, format, session, …), then the content as it is, lines of JSON; a stream. " +
        "Another's commit as parent needs the right to read it. The same commit twice is one commit",
      response: Commit,
    },
    commits: {
      method: "GET",
      path: "/v1/agents/:agent/context",
      summary: "Its commits, newest first",
      query: { limit: "at most so many, 20 unless named, 1000 at most", from: "`next` of a page" },
      response: CommitList,
    },
    commitAt: {
      method: "GET",
      path: "/v1/agents/:agent/context-at",
      summary: "Its last commit that was made no later than then",
      query: { time: "ms since the epoch" },
      response: Commit,
    },
    commit: {
      method: "GET",
      path: "/v1/agents/:agent/context/:commit",
      summary: "One commit, without its content",
      response: Commit,
    },
    history: {
      method: "GET",
      path: "/v1/agents/:agent/context/:commit/history",
      summary: "It, its parent, and so on",
      query: { limit: "at most so many, 20 unless named, 1000 at most" },
      response: CommitList,
    },
    materialise: {
      method: "GET",
      path: "/v1/agents/:agent/context/:commit/content",
      summary:
        "The content of its chain, oldest first; header `bureau-context-format`. Needs the right to read everybody whose commits are in it. " +
        "409 `mixed-formats`, 410 `pruned`, 413 `chain-too-long`",
      query: {
        stop:
          "where the chain begins: `compaction` (default: the last commit that stands for all before it), `root`, or a commit of it",
      },
      kind: "text",
    },
    summarise: {
      method: "POST",
      path: "/v1/agents/:agent/context/:commit/summary",
      summary: "Put another summary in the place of its own",
      request: z.object({ summary: z.string().check(z.maxLength(1000)) }),
      response: Commit,
    },
  },
});
