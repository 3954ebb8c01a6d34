// SPDX-License-Identifier: Apache-2.0

/** The agent service's answers: who asks is in the token, and whose things are asked for in the path. */
import * as z from "zod/mini";
import { createHandler } from "../../lib/http/mod.ts";
import { loadMetrics } from "../../lib/metrics/load.ts";
import { LabelledCounter, ownMetrics, statusClass } from "../../lib/metrics/mod.ts";
import { TokenError } from "../../lib/token/errors.ts";
import type { Caller, TokenVerifier } from "../../lib/token/verify.ts";
import { agentServiceApi, Checkpoint } from "./api.ts";
import { AgentServiceError } from "./errors.ts";
import { firstLine } from "./lines.ts";
import { roomOf } from "./retention.ts";
import type { Store } from "./store.ts";

const MAX_CONTENT = 256 * 1024 * 1024;
const LIMIT = 20;
const MAX_LIMIT = 1000;

export function createAgentService(
  store: Store,
  verifier: Pick<TokenVerifier, "caller">,
): (request: Request) => Promise<Response> {
  const { sessions, context } = store;

  /** @returns whose things are meant, when they may be had */
  async function reading(request: Request, params: Readonly<Record<string, string>>) {
    const caller = await verifier.caller(request);
    return ownOr(caller, params["agent"]!, "read");
  }

  const requests = new LabelledCounter();
  const handler = createHandler(agentServiceApi, {
    processMetrics: async ({ request }) => {
      requireMachine(await verifier.caller(request));
      return ownMetrics(request, await loadMetrics(), {
        bureau_agent_service_sessions_active: sessions.activeCount,
        bureau_agent_service_database_bytes: store.database.bytes,
        bureau_agent_service_requests_total: requests.samples,
      });
    },
    startSession: async ({ request, body }) =>
      sessions.start((await verifier.caller(request)).subject, body),
    endSession: async ({ request, params }) =>
      sessions.end((await verifier.caller(request)).subject, params["session"]!),
    appendLog: async ({ request, params, query }) => {
      const { subject } = await verifier.caller(request);
      const offset = wholeNumber(query, "offset");
      const body = request.body ?? ReadableStream.from([]);
      return { log_bytes: await sessions.append(subject, params["session"]!, offset, body) };
    },
    sessions: async ({ request, params, query }) => {
      const agent = await reading(request, params);
      return { active: sessions.active(agent), sessions: sessions.list(agent, limitOf(query)) };
    },
    session: async ({ request, params }) =>
      sessions.find(await reading(request, params), params["session"]!),
    log: async ({ request, params, query }) => {
      const agent = await reading(request, params);
      const from = query.has("offset") ? wholeNumber(query, "offset") : 0;
      return streamed(sessions.log(agent, params["session"]!, from));
    },
    metrics: async ({ request, params }) => {
      const agent = await reading(request, params);
      const active = sessions.active(agent);
      return {
        agent,
        ...sessions.metrics(agent),
        active: active === null ? null : { session_id: active.session_id, metrics: active.metrics },
      };
    },
    checkpoint: async ({ request, params }) => {
      const caller = await verifier.caller(request);
      const agent = ownOr(caller, params["agent"]!, "write");
      const { line, rest } = await firstLine(request.body ?? ReadableStream.from([]));
      const checkpoint = checkpointOf(line);
      if (checkpoint.parent !== null) {
        ownOr(caller, context.ownerOf(checkpoint.parent), "read");
      }
      const most = Math.min(MAX_CONTENT, roomOf(store.database, agent));
      return context.commit(agent, checkpoint, await store.contents.put(rest, most));
    },
    commits: async ({ request, params, query }) => {
      const agent = await reading(request, params);
      const from = query.has("from") ? wholeNumber(query, "from") : Number.MAX_SAFE_INTEGER;
      return { tip: context.tip(agent), ...context.list(agent, limitOf(query), from) };
    },
    commitAt: async ({ request, params, query }) =>
      context.at(await reading(request, params), wholeNumber(query, "time")),
    commit: async ({ request, params }) =>
      context.find(await reading(request, params), params["commit"]!),
    history: async ({ request, params, query }) => {
      const agent = await reading(request, params);
      const { commits, next } = context.history(agent, params["commit"]!, limitOf(query));
      return { tip: context.tip(agent), commits, next };
    },
    materialise: async ({ request, params, query }) => {
      const caller = await verifier.caller(request);
      const { id } = context.find(ownOr(caller, params["agent"]!, "read"), params["commit"]!);
      const chain = context.chain(id, stopOf(query));
      // A chain may begin with another's; that one was readable once, and may be no longer.
      for (const owner of new Set(chain.map(({ agent }) => agent))) ownOr(caller, owner, "read");
      const response = streamed(store.read(chain.map(({ content }) => content)));
      response.headers.set("bureau-context-format", chain[0]!.format);
      response.headers.set("bureau-context-commits", String(chain.length));
      response.headers.set(
        "content-length",
        String(chain.reduce((bytes, link) => bytes + link.bytes, 0)),
      );
      return response;
    },
    summarise: async ({ request, params, body }) => {
      const agent = ownOr(await verifier.caller(request), params["agent"]!, "write");
      return context.summarise(agent, params["commit"]!, body.summary);
    },
  });
  return async (request) => {
    const response = await handler(request);
    requests.add({ status: statusClass(response.status) });
    return response;
  };
}

/** How a service does is for those who run it, not for those whom it serves. @throws {TokenError} */
function requireMachine({ subject, machine }: Caller): void {
  if (subject === machine) return;
  throw new TokenError("not-granted", "Cannot serve this: only the machine itself may ask", {
    status: 403,
    hint: "`bureau metrics` shows it to operators",
  });
}

/**
 * One's own is free.
 * @returns user id of whom `name` means
 * @throws {TokenError} `not-granted`
 */
function ownOr(caller: Caller, name: string, action: "read" | "write"): string {
  if (name === "me" || name === caller.subject) return caller.subject;
  caller.require(action, name);
  return name;
}

function checkpointOf(line: string): Checkpoint {
  try {
    return z.parse(Checkpoint, JSON.parse(line));
  } catch (thrown) {
    const [issue] = thrown instanceof z.core.$ZodError ? thrown.issues : [];
    throw new AgentServiceError(
      "bad-request",
      `Cannot read the first line: ${
        issue === undefined ? "it is no JSON" : `${issue.path.join(".") || "it"}: ${issue.message}`
      }`,
      { status: 400, hint: "it says parent, type, format, session_id and checkpoint" },
    );
  }
}

function stopOf(query: URLSearchParams): string {
  const stop = query.get("stop") ?? "compaction";
  if (/^(compaction|root|ctx-[0-9a-f]{64})$/.test(stop)) return stop;
  throw new AgentServiceError("bad-request", `Cannot stop at "${stop.slice(0, 100)}"`, {
    status: 400,
    hint: "compaction, root, or the id of a commit of the chain",
  });
}

function limitOf(query: URLSearchParams): number {
  if (!query.has("limit")) return LIMIT;
  return Math.min(MAX_LIMIT, Math.max(1, wholeNumber(query, "limit")));
}

function wholeNumber(query: URLSearchParams, name: string): number {
  const value = query.get(name);
  if (value !== null && /^\d{1,16}$/.test(value) && Number.isSafeInteger(Number(value))) {
    return Number(value);
  }
  throw new AgentServiceError("bad-request", `Cannot read "${name}": it is no whole number`, {
    status: 400,
  });
}

function streamed(chunks: AsyncIterable<Uint8Array<ArrayBuffer>>): Response {
  return new Response(ReadableStream.from(chunks), {
    headers: { "content-type": "application/jsonl; charset=utf-8" },
  });
}
