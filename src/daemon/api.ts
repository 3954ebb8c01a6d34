// SPDX-License-Identifier: Apache-2.0

/**
 * The daemon's socket (`<run>/daemon/daemon.sock`): what a person at this machine may ask. Every
 * request except `health` carries `Authorization: Bearer <Matrix access token>`, which the daemon
 * verifies with the homeserver (rule 7); rights come from `effectiveGrants()`.
 */
import * as z from "zod/mini";
import { Health, PrincipalOutput, Usage } from "../launcher/api.ts";
import { defineApi } from "../lib/http/api.ts";
import { BudgetCap } from "../lib/schema/mod.ts";
import { upgradeApi } from "../lib/upgrade/mod.ts";
import { ProxyStats } from "../proxy/api.ts";
import { DecisionView, PolicyView } from "./authority_api.ts";
import { recordingRoutes } from "./recordings/api.ts";
import { peerRoutes } from "./peer/api.ts";
import { serviceRoutes } from "./services/api.ts";
import { webRoutes } from "./web/api.ts";
import { Attention } from "./attention/api.ts";
import { NotifyAnswer, NotifyTestAnswer, NotifyTestRequest } from "./attention/notify/types.ts";
import { approvalRoutes } from "./approvals/api.ts";
import { AsksAnswer, AskView, DecideAnswer, DecideRequest, PrincipalEgress } from "./asks/api.ts";

export { ApprovalsAnswer, ApprovalView, DecideApproval } from "./approvals/api.ts";
export * from "./asks/api.ts";
export * from "./attention/api.ts";
export * from "./authority_api.ts";
export { DaemonBootstrap } from "./bootstrap.ts";
export { RecordingNews, RecordingView } from "./recordings/api.ts";
export * from "./peer/api.ts";
export * from "./web/api.ts";

export const PrincipalView = z.object({
  principal: z.string(),
  user_id: z.string(),
  template: z.string(),
  desired: z.enum(["running", "stopped", "absent"]),
  phase: z.enum([
    "pending",
    "starting",
    "running",
    "stopping",
    "exited",
    "stopped",
    "failed",
    "backing-off",
    "waiting",
  ]),
  since: z.number(),
  restarts: z.number(),
  exit_code: z.nullable(z.number()),
  message: z.nullable(z.string()),
  hint: z.nullable(z.string()),
  room: z.nullable(z.string()),
  watchers: z.number(),
  egress: z.object({ allowed: z.number(), refused: z.number(), bytes: z.number() }),
  /** Present where its template asks for no sandbox (passthrough). */
  isolation: z.optional(z.literal("none")),
  /** Present while `freeze` keeps it stopped in its tracks. */
  frozen: z.optional(z.literal(true)),
  /** SHA-256 of the sealed credentials that its proxy has; absent: none. */
  credentials_digest: z.optional(z.string()),
  /** Present where it has a health check and runs. */
  health: z.optional(Health),
  /** Present where its last good version runs in the place of one that failed: why. */
  rolled_back: z.optional(z.string()),
  /** Whether it needs a person. */
  attention: z.optional(Attention),
  /** The last line on its terminal with something on it; empty: none is known. Made harmless. */
  last_line: z.optional(z.string()),
});
export type PrincipalView = z.infer<typeof PrincipalView>;

const Traffic = {
  allowed: z.number(),
  refused: z.number(),
  /** Bytes towards the upstream. */
  up: z.number(),
  down: z.number(),
};

/** What one principal's egress gate counted since the daemon started. */
export const EgressTraffic = z.object({
  principal: z.string(),
  ...Traffic,
  /** Tunnels that stand. */
  active: z.number(),
  /** By `host:port`: those that matter most, 64 at most. */
  hosts: z.record(z.string(), z.object(Traffic)),
  other: z.object(Traffic),
});
export type EgressTraffic = z.infer<typeof EgressTraffic>;

export const DaemonStatus = z.object({
  version: z.string(),
  pid: z.number(),
  started_at: z.number(),
  machine: z.string(),
  homeserver_url: z.string(),
  /** `ok`, or why not. */
  sync: z.object({
    state: z.enum(["starting", "ok", "failing", "lost"]),
    last_ok: z.nullable(z.number()),
    message: z.nullable(z.string()),
  }),
  launcher: z.object({ connected: z.boolean() }),
  principals: z.array(PrincipalView),
  /** Questions about destinations that wait for an operator; shown to operators. */
  asks: z.array(AskView),
});
export type DaemonStatus = z.infer<typeof DaemonStatus>;

/** State of a room as the homeserver has it; the events themselves. */
export const RoomStateAnswer = z.object({
  /** Of the event stream, taken before the state: what the stream brings after it is newer or the same. */
  position: z.string(),
  room: z.string(),
  state: z.array(z.looseObject({
    type: z.string(),
    state_key: z.string(),
    sender: z.string(),
    content: z.record(z.string(), z.unknown()),
  })),
});
export type RoomStateAnswer = z.infer<typeof RoomStateAnswer>;

const Taken = z.object({ input: z.number(), output: z.number(), cost: z.number() });

export const AgentMetrics = z.object({
  /** Of the present proxy; null where none runs. */
  proxy: z.nullable(ProxyStats),
  /** ms epoch: since when models are counted. */
  since: z.number(),
  windows: z.array(z.object({
    window: z.enum(["run", "hour", "day"]),
    /** Tokens, those of a cache among the input; US dollars. */
    taken: Taken,
    cap: z.nullable(BudgetCap),
  })),
  /** The dearest first. */
  models: z.array(z.object({
    model: z.string(),
    requests: z.number(),
    input: z.number(),
    output: z.number(),
    cache_read: z.number(),
    cache_write: z.number(),
    cost: z.number(),
    estimated: z.number(),
    unpriced: z.number(),
  })),
});
export type AgentMetrics = z.infer<typeof AgentMetrics>;

export const daemonApi = defineApi({
  title: "Bureau daemon",
  version: "1",
  routes: {
    health: {
      method: "GET",
      path: "/health",
      summary: "Alive",
      response: z.object({
        status: z.string(),
        /** Whether launcher and homeserver are there; absent: it does not say. */
        ready: z.optional(z.boolean()),
      }),
    },
    ...upgradeApi.routes,
    status: {
      method: "GET",
      path: "/v1/status",
      summary: "One screen of truth",
      response: DaemonStatus,
    },
    list: {
      method: "GET",
      path: "/v1/principals",
      summary: "Principals assigned to this machine",
      response: z.object({ principals: z.array(PrincipalView) }),
    },
    show: {
      method: "GET",
      path: "/v1/principals/:principal",
      summary: "One principal",
      response: PrincipalView,
    },
    attention: {
      method: "GET",
      path: "/v1/attention",
      summary:
        "Whether principals need a person: server-sent events, all that the caller may observe at once (`all`), then those that change (`AttentionEvent`)",
      kind: "sse",
    },
    notifyTargets: {
      method: "GET",
      path: "/v1/notify",
      summary:
        "Whom this machine tells when an agent needs a person, and how that went; right `notify` on the machine",
      response: NotifyAnswer,
    },
    notifyTest: {
      method: "POST",
      path: "/v1/notify/test",
      summary: "Send a test message to one target or all, once; right `notify` on the machine",
      request: NotifyTestRequest,
      response: NotifyTestAnswer,
    },
    usage: {
      method: "GET",
      path: "/v1/principals/:principal/usage",
      summary: "What its sandbox uses now, asked of the launcher; right `observe`",
      response: Usage,
    },
    output: {
      method: "GET",
      path: "/v1/principals/:principal/output",
      summary:
        "What stands on its terminal, and stood there when its program last ended; right `observe`",
      query: { lines: "the last so many of each; default and at most 500" },
      response: PrincipalOutput,
    },
    agentMetrics: {
      method: "GET",
      path: "/v1/principals/:principal/metrics",
      summary: "What its requests took: by model, and against its budgets; right `observe`",
      response: AgentMetrics,
    },
    freeze: {
      method: "POST",
      path: "/v1/principals/:principal/freeze",
      summary: "Stop every process of its sandbox in its tracks; right `interrupt`. Idempotent",
      response: z.object({ frozen: z.boolean() }),
    },
    thaw: {
      method: "POST",
      path: "/v1/principals/:principal/thaw",
      summary: "Let a frozen sandbox go on; right `interrupt`. Idempotent",
      response: z.object({ frozen: z.boolean() }),
    },
    kill: {
      method: "POST",
      path: "/v1/principals/:principal/kill",
      summary:
        "Kill every process of its sandbox at once, frozen or not; right `interrupt/terminate`. Its restart policy decides what follows",
      response: z.object({ killed: z.boolean() }),
    },
    observe: {
      method: "GET",
      path: "/v1/principals/:principal/observe",
      summary:
        "WebSocket `bureau.observe.v2`; rights `observe` and, for readwrite, `observe/read-write`",
      query: {
        mode: "`readonly` or `readwrite` (downgraded when not granted)",
        cols: "columns",
        rows: "rows",
        stream: "with `offset`: go on there, as the metadata of an earlier connection named it",
        offset: "bytes of that stream that were shown already",
        since: "seconds: what was since then first, with its times",
      },
      kind: "websocket",
    },
    traffic: {
      method: "GET",
      path: "/v1/egress",
      summary:
        "What each principal sent where through its egress gate; those that the caller may observe",
      response: z.object({ principals: z.array(EgressTraffic) }),
    },
    metrics: {
      method: "GET",
      path: "/metrics",
      summary:
        "What every process of this machine tells of itself, as text for Prometheus; right `metrics` on the machine",
      kind: "text",
    },
    egressOf: {
      method: "GET",
      path: "/v1/principals/:principal/egress",
      summary: "Its egress policy in force, each line with its source; right `observe`",
      response: PrincipalEgress,
    },
    asks: {
      method: "GET",
      path: "/v1/asks",
      summary:
        "Questions about destinations that wait for an answer, the last answers, and what holds for a while; right `grant/approve/forward` on the machine",
      response: AsksAnswer,
    },
    decide: {
      method: "POST",
      path: "/v1/asks/decide",
      summary:
        "Answer one, or set or take back what holds for a while; right as for the list. `always` here only says that the caller wrote it into the assignment",
      request: DecideRequest,
      response: DecideAnswer,
    },
    authorizationOf: {
      method: "GET",
      path: "/v1/authorization",
      summary:
        "Every rule that holds for a user on this machine, with its source and the event it came in; about others: operators only",
      query: { user: "user id" },
      response: PolicyView,
    },
    checkAuthorization: {
      method: "GET",
      path: "/v1/authorization/check",
      summary:
        "Decides as everything on this machine does, and names the rules that decided; about others: operators only",
      query: {
        actor: "user id",
        action: "`observe`, `http/<service>`, …",
        target: "user id; absent: at the actor's own proxy",
      },
      response: DecisionView,
    },
    followAsks: {
      method: "GET",
      path: "/v1/asks/events",
      summary:
        "Server-sent events: the answer of `/v1/asks` at once and after each change; right as for the list",
      kind: "sse",
    },
    followEvents: {
      method: "GET",
      path: "/v1/matrix/events",
      summary:
        "The machine's Matrix sync, for operators and for principals with the grant `matrix/read`: rooms that the caller is in. Server-sent events with `id` = position, resumed by `Last-Event-ID`: `open`, `event` {room,event}, `gap` {room} (events are missing, read its state), `reset` {reason} (read all state), `position`, `cut` {reason} (resume)",
      query: {
        rooms: "room ids, separated by commas; absent: every room that the caller is in",
        types: "event types, separated by commas; a `*` at the end stands for any text",
      },
      kind: "sse",
    },
    roomState: {
      method: "GET",
      path: "/v1/matrix/state",
      summary: "Whole state of a room that the caller is in; rights as for the events",
      query: { room: "room id" },
      response: RoomStateAnswer,
    },
    ...approvalRoutes,
    ...recordingRoutes,
    ...peerRoutes,
    ...serviceRoutes,
    ...webRoutes,
  },
});
