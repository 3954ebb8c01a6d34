// SPDX-License-Identifier: Apache-2.0

/** Serves `proxy.sock`: what `proxyAgentApi` in `api.ts` describes. */
import { errorResponse, ProxyError } from "./errors.ts";
import { ServiceForwarder, type UpstreamEnvironment } from "./forward.ts";
import { MatrixGateway } from "./matrix.ts";
import { splitUrl } from "./path.ts";
import type { ProxyState } from "./state.ts";
import type { Upstream } from "./upstream.ts";

type Handler = (request: Request, query: URLSearchParams) => Response | Promise<Response>;
type Routes = Readonly<Record<string, Readonly<Record<string, Handler>>>>;

export interface AgentInterface {
  readonly handle: (
    request: Request,
    info: { readonly completed: Promise<void> },
  ) => Promise<Response>;
  readonly upstreams: readonly Upstream[];
  readonly services: ReadonlyMap<string, ServiceForwarder>;
}

/** @throws {ProxyError} when an upstream of the bootstrap document cannot be used */
export function createAgentInterface(
  state: ProxyState,
  environment: UpstreamEnvironment,
): AgentInterface {
  const services = new Map<string, ServiceForwarder>();
  for (const [name, service] of Object.entries(state.bootstrap.services)) {
    services.set(name, new ServiceForwarder(name, service, environment));
  }
  const account = state.bootstrap.matrix;
  const matrix = account === null
    ? null
    : new MatrixGateway(account, (action) => state.require(action), environment);
  const routes = agentRoutes(state, matrix);

  const dispatch = (request: Request): Response | Promise<Response> => {
    const { path, query } = splitUrl(request.url);
    if (path.startsWith("/http/")) return forward(state, services, request, path, query);
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
    return handler(request, new URLSearchParams(query));
  };

  const handle: AgentInterface["handle"] = async (request, info) => {
    try {
      state.admit(info.completed);
      return await dispatch(request);
    } catch (thrown) {
      state.note(thrown);
      return errorResponse(thrown);
    }
  };

  const upstreams = [...services.values()].map((service) => service.upstream);
  if (matrix !== null) upstreams.push(matrix.upstream);
  return { handle, upstreams, services };
}

function forward(
  state: ProxyState,
  services: ReadonlyMap<string, ServiceForwarder>,
  request: Request,
  path: string,
  query: string,
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
  return service.forward(request, end === -1 ? "" : path.slice(end), query);
}

function agentRoutes(state: ProxyState, matrix: MatrixGateway | null): Routes {
  const { bootstrap } = state;
  const withMatrix = (
    call: (gateway: MatrixGateway, request: Request, query: URLSearchParams) => Promise<Response>,
  ) =>
  (request: Request, query: URLSearchParams) => {
    if (matrix === null) {
      throw new ProxyError(
        "no-matrix-account",
        `Cannot call Matrix as "${bootstrap.principal}": it has no account`,
        { status: 503, hint: "seal a Matrix account into the principal's credentials" },
      );
    }
    return call(matrix, request, query);
  };
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
    "/v1/grants": { GET: () => Response.json(state.policy) },
    "/v1/matrix/whoami": { GET: withMatrix((gateway, request) => gateway.whoami(request)) },
    "/v1/matrix/joined-rooms": {
      GET: withMatrix((gateway, request) => gateway.joinedRooms(request)),
    },
    "/v1/matrix/resolve": { GET: withMatrix((gateway, ...call) => gateway.resolve(...call)) },
    "/v1/matrix/state": {
      GET: withMatrix((gateway, ...call) => gateway.getState(...call)),
      POST: withMatrix((gateway, request) => gateway.putState(request)),
    },
    "/v1/matrix/message": { POST: withMatrix((gateway, ...call) => gateway.sendMessage(...call)) },
    "/v1/matrix/event": { POST: withMatrix((gateway, ...call) => gateway.sendEvent(...call)) },
    "/v1/matrix/messages": { GET: withMatrix((gateway, ...call) => gateway.messages(...call)) },
    "/v1/matrix/room-members": { GET: withMatrix((gateway, ...call) => gateway.members(...call)) },
    "/v1/matrix/room-state": { GET: withMatrix((gateway, ...call) => gateway.roomState(...call)) },
    "/v1/matrix/join": { POST: withMatrix((gateway, request) => gateway.join(request)) },
    "/v1/matrix/sync": { GET: withMatrix((gateway, ...call) => gateway.sync(...call)) },
  };
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
