// SPDX-License-Identifier: Apache-2.0

/** Serves `proxy.sock`: what `proxyAgentApi` in `api.ts` describes. */
import { parseApproval } from "./approvals.ts";
import { parseSaid } from "./attention.ts";
import type { Live } from "./credentials/source.ts";
import { errorResponse, ProxyError } from "./errors.ts";
import { ServiceForwarder, type UpstreamEnvironment } from "./forward.ts";
import type { LoggedRequest, RequestStart } from "./log.ts";
import { readJsonObject } from "./json.ts";
import { MatrixAccount } from "./matrix/account.ts";
import { isPassthrough, passThrough } from "./matrix/passthrough.ts";
import { matrixRoutes } from "./matrix/routes.ts";
import { openapiText } from "./openapi_text.ts";
import { splitUrl } from "./path.ts";
import { listServices } from "./services.ts";
import type { ProxyState } from "./state.ts";
import type { Upstream } from "./upstream.ts";

/** Of a request's body; its message is cut at 200 characters. */
const MAX_ATTENTION_BYTES = 16 * 1024;
/** Of a request's body; its text has a limit of its own, and may be escaped. */
const MAX_APPROVAL_BYTES = 32 * 1024;

/** Of one request. `completed` settles when its answer has left, and rejects when it could not. */
interface Exchange {
  readonly completed: Promise<void>;
}
type Handler = (
  request: Request,
  query: URLSearchParams,
  exchange: Exchange,
) => Response | Promise<Response>;
type Routes = Readonly<Record<string, Readonly<Record<string, Handler>>>>;

export interface AgentInterface {
  readonly handle: (
    request: Request,
    info: Exchange,
  ) => Promise<Response>;
  readonly upstreams: readonly Upstream[];
  readonly services: ReadonlyMap<string, ServiceForwarder>;
  readonly matrix: MatrixAccount | null;
  /** Ends the streams that would go on for ever. */
  close(): void;
}

/**
 * @param kept the account of the bootstrap document, where it is served already
 * @throws {ProxyError} when an upstream of the bootstrap document cannot be used
 */
export function createAgentInterface(
  state: ProxyState,
  environment: UpstreamEnvironment,
  live: Live,
  kept?: MatrixAccount,
): AgentInterface {
  const services = new Map<string, ServiceForwarder>();
  for (const [name, service] of Object.entries(state.bootstrap.services)) {
    services.set(name, new ServiceForwarder(name, service, environment, state.budget, live));
  }
  const account = state.bootstrap.matrix;
  const matrix = account === null ? null : kept ?? new MatrixAccount(account, state, environment);
  const routes = agentRoutes(state, services, matrix);

  const dispatch = (
    request: Request,
    { path, query }: { path: string; query: string },
    logged: LoggedRequest,
    exchange: Exchange,
  ): Response | Promise<Response> => {
    if (path.startsWith("/http/")) return forward(state, services, request, path, query, logged);
    if (isPassthrough(path)) {
      const parameters = new URLSearchParams(query);
      return passThrough(matrix, request, path, parameters, (thrown) => state.note(thrown));
    }
    const handlers = Object.hasOwn(routes, path) ? routes[path]! : undefined;
    if (handlers === undefined) throw notFound(path);
    const handler = handlers[request.method];
    if (handler === undefined) {
      const allowed = Object.keys(handlers).join(", ");
      throw new ProxyError(
        "method-not-allowed",
        `Cannot ${request.method} "${path}": it takes ${allowed}`,
        { status: 405 },
      );
    }
    return handler(request, new URLSearchParams(query), exchange);
  };

  const handle: AgentInterface["handle"] = async (request, info) => {
    const url = splitUrl(request.url);
    const logged = state.log.begin(startOf(request, url.path));
    const end = () => logged.end();
    info.completed.then(end, end);
    let response: Response;
    try {
      state.admit(info.completed);
      response = await dispatch(request, url, logged, info);
    } catch (thrown) {
      state.note(thrown);
      logged.failed(thrown);
      response = errorResponse(thrown);
    }
    logged.answered(response.status);
    return response;
  };

  const upstreams = [...services.values()].map((service) => service.upstream);
  if (matrix !== null) upstreams.push(matrix.upstream);
  return { handle, upstreams, services, matrix, close: () => matrix?.close() };
}

/** For the log: what it is about, without what it holds. */
function startOf(request: Request, path: string): RequestStart {
  const { method } = request;
  const traceparent = request.headers.get("traceparent");
  if (path.startsWith("/http/")) {
    const end = path.indexOf("/", 6);
    const service = end === -1 ? path.slice(6) : path.slice(6, end);
    const rest = end === -1 ? "/" : path.slice(end);
    return { via: "http", service, method, path: rest, action: `http/${service}`, traceparent };
  }
  const isMatrix = path.startsWith("/v1/matrix/") || isPassthrough(path);
  const via = isMatrix ? "matrix" : "api";
  return { via, service: via, method, path, traceparent };
}

function forward(
  state: ProxyState,
  services: ReadonlyMap<string, ServiceForwarder>,
  request: Request,
  path: string,
  query: string,
  logged: LoggedRequest,
): Promise<Response> {
  const end = path.indexOf("/", "/http/".length);
  const name = end === -1 ? path.slice("/http/".length) : path.slice("/http/".length, end);
  const service = services.get(name);
  if (service === undefined) {
    throw new ProxyError("no-such-service", `Cannot reach "${printable(name)}": no such service`, {
      status: 404,
      hint: "GET /v1/identity lists the services of this principal",
    });
  }
  state.require(`http/${name}`);
  return service.forward(request, end === -1 ? "" : path.slice(end), query, logged);
}

function agentRoutes(
  state: ProxyState,
  services: ReadonlyMap<string, ServiceForwarder>,
  matrix: MatrixAccount | null,
): Routes {
  const { bootstrap } = state;
  return {
    "/health": { GET: () => Response.json({ status: "ok" }) },
    "/v1/identity": {
      GET: () =>
        Response.json({
          principal: bootstrap.principal,
          user_id: bootstrap.matrix?.user_id ?? null,
          server_name: bootstrap.server_name,
          fleet: bootstrap.fleet,
          machine: bootstrap.machine,
          room: bootstrap.room,
          services: Object.keys(bootstrap.services).sort(),
        }),
    },
    "/v1/services": { GET: () => Response.json({ services: listServices(state, services) }) },
    "/v1/openapi.json": {
      GET: () => new Response(openapiText(), { headers: { "content-type": "application/json" } }),
    },
    "/v1/attention": {
      GET: () => Response.json({ said: state.attention.present }),
      PUT: async (request) => {
        const json = await readJsonObject(request, MAX_ATTENTION_BYTES);
        const said = parseSaid(json, state.now());
        state.attention.say(said);
        return Response.json({ said });
      },
    },
    "/v1/approvals": {
      POST: async (request, _, { completed }) => {
        const asked = parseApproval(await readJsonObject(request, MAX_APPROVAL_BYTES));
        const answer = await state.approvals.ask(asked, completed);
        return Response.json(answer === null ? { decided: false } : { decided: true, ...answer });
      },
    },
    "/v1/grants": { GET: () => Response.json(state.policy) },
    ...matrixHandlers(bootstrap.principal, matrix),
  };
}

function matrixHandlers(principal: string, matrix: MatrixAccount | null): Routes {
  const bound: Record<string, Record<string, Handler>> = {};
  for (const [path, methods] of Object.entries(matrixRoutes)) {
    const handlers: Record<string, Handler> = {};
    for (const [method, call] of Object.entries(methods)) {
      handlers[method] = (request, query) => {
        if (matrix !== null) return call(matrix, request, query);
        throw new ProxyError(
          "no-matrix-account",
          `Cannot call Matrix as "${principal}": it has no account`,
          { status: 503, hint: "seal a Matrix account into the principal's credentials" },
        );
      };
    }
    bound[`/v1/matrix/${path}`] = handlers;
  }
  return bound;
}

function notFound(path: string): ProxyError {
  return new ProxyError("not-found", `Cannot find "${printable(path)}": no such endpoint`, {
    status: 404,
  });
}

/** A caller's text inside our own messages: short, and harmless on a terminal. */
function printable(text: string): string {
  const shown = text.replace(/[^\x20-\x7e]/g, "?");
  return shown.length > 120 ? `${shown.slice(0, 120)}…` : shown;
}
