// SPDX-License-Identifier: Apache-2.0

/** Serves `admin.sock`, the daemon's line: `proxyAdminApi` in `api.ts`. No credential crosses it. */
import type { EgressRules } from "./api.ts";
import { ownMetrics } from "../lib/metrics/mod.ts";
import { parseBudgetState, parseEgressRules, parsePolicy } from "./bootstrap.ts";
import { badRequest, errorResponse, ProxyError } from "./errors.ts";
import { readJsonObject } from "./json.ts";
import { splitUrl } from "./path.ts";
import type { ProxyState } from "./state.ts";

/** A policy of many thousand grants still fits. */
const MAX_POLICY_BYTES = 1024 * 1024;
const MAX_ANSWER_BYTES = 16 * 1024;

/** @param closing ends the watch streams, so that the daemon hears of the end at once */
export function createAdminHandler(
  state: ProxyState,
  closing: AbortSignal,
): (request: Request) => Promise<Response> {
  const routes: Record<string, (request: Request) => Response | Promise<Response>> = {
    "GET /health": () => Response.json({ status: state.draining ? "draining" : "ok" }),
    "GET /v1/stats": () => Response.json(state.stats()),
    "GET /metrics": (request) => ownMetrics(request, state.metrics),
    "PUT /v1/grants": async (request) => {
      const json = await readJsonObject(request, MAX_POLICY_BYTES);
      try {
        // Parsed whole before it is used: a policy half understood would be neither old nor new.
        state.policy = parsePolicy(json);
      } catch (thrown) {
        throw badRequest(thrown instanceof Error ? thrown.message : "it is no policy");
      }
      return Response.json({ count: state.policy.grants.length });
    },
    "PUT /v1/egress": async (request) => {
      const json = await readJsonObject(request, MAX_POLICY_BYTES);
      let rules: EgressRules;
      try {
        rules = parseEgressRules(json);
      } catch (thrown) {
        throw badRequest(thrown instanceof Error ? thrown.message : "these are no rules");
      }
      state.hosts.setRules(rules);
      return Response.json({ count: rules.allow.length + rules.deny.length });
    },
    "PUT /v1/budget": async (request) => {
      const json = await readJsonObject(request, MAX_POLICY_BYTES);
      try {
        state.budget.tell(parseBudgetState(json));
      } catch (thrown) {
        throw badRequest(thrown instanceof Error ? thrown.message : "it is no budget");
      }
      return Response.json({ ready: true });
    },
    "PUT /v1/approval": async (request) => {
      const { key, approved, why } = await readJsonObject(request, MAX_ANSWER_BYTES);
      if (typeof key !== "string" || typeof approved !== "boolean" || typeof why !== "string") {
        throw badRequest("it is no answer");
      }
      return Response.json({ asked: state.approvals.answer(key, { approved, why }) });
    },
    "POST /v1/drain": () => {
      state.draining = true;
      return Response.json({ active: state.active });
    },
    "GET /v1/watch": () => watch(closing, state),
  };
  return async (request) => {
    try {
      const { path } = splitUrl(request.url);
      const handler = routes[`${request.method} ${path}`];
      if (handler !== undefined) return await handler(request);
      const known = Object.keys(routes).filter((route) => route.endsWith(` ${path}`));
      throw known.length === 0
        ? new ProxyError("not-found", "Cannot find the endpoint", { status: 404 })
        : new ProxyError(
          "method-not-allowed",
          `Cannot ${request.method} "${path}": it takes ${known[0]!.split(" ")[0]}`,
          { status: 405 },
        );
    } catch (thrown) {
      return errorResponse(thrown);
    }
  };
}

function watch(
  closing: AbortSignal,
  { approvals, attention, refusals, budget }: ProxyState,
): Response {
  let onClosing: () => void;
  let end: () => void = () => {};
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      // A first comment flushes the headers, so that the daemon knows it is connected.
      controller.enqueue(new TextEncoder().encode(":\n\n"));
      const say = (what: object) =>
        controller.enqueue(encoder.encode(`data: ${JSON.stringify(what)}\n\n`));
      const ends = [
        refusals.listen((refused) => say({ refused })),
        budget.listen((usage) => say({ usage })),
        attention.listen((said) => say({ attention: said })),
        approvals.listen((news) => say({ approvals: news })),
      ];
      end = () => ends.forEach((each) => each());
      onClosing = () => {
        end();
        controller.close();
      };
      if (closing.aborted) onClosing();
      else closing.addEventListener("abort", onClosing, { once: true });
    },
    cancel() {
      end();
      closing.removeEventListener("abort", onClosing);
    },
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}
