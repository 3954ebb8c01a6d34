// SPDX-License-Identifier: Apache-2.0

/** Metrics of every process of this machine, by the daemon: the one that may reach them all. */
import { messageOf } from "../../lib/errors.ts";
import type { ManagedPrincipal } from "../principal.ts";
import type { Served } from "../serve.ts";
import { MetricsGatherer } from "./gather.ts";
import { daemonMetrics, principalMetrics } from "./own.ts";
import { askSocket, homeserverSource, NotThere, type Source } from "./sources.ts";

export { MetricsDoor } from "./door.ts";
export { PassCount } from "./own.ts";

type Needed = Pick<
  Served,
  | "principals"
  | "status"
  | "asks"
  | "approvals"
  | "gateRestarts"
  | "services"
  | "passes"
  | "syncErrors"
  | "bootstrap"
>;

export function createMetrics(served: Needed): MetricsGatherer {
  return new MetricsGatherer({
    sources: () => sourcesOf(served),
    own: () => {
      const principals = [...served.principals()];
      const measured = daemonMetrics({
        ...served.status(),
        passes: served.passes,
        syncErrors: served.syncErrors(),
        gateRestarts: served.gateRestarts(),
        waiting: {
          egress: served.asks.view.pending.length,
          tool: served.approvals.registry.pending.length,
        },
      }, principals);
      return { measured, principals: principalMetrics(principals) };
    },
  });
}

function sourcesOf({ principals, services, bootstrap }: Needed): Source[] {
  const { launcher_socket, web, homeserver_url, homeserver_metrics_token: token } = bootstrap;
  const at = (process: string, socket: string): Source => ({
    process,
    prefix: `bureau_${process}_`,
    ask: (signal) => askSocket(socket, signal),
  });
  return [
    at("launcher", launcher_socket),
    ...(web === undefined ? [] : [at("web", web.socket)]),
    ...(token === undefined ? [] : [homeserverSource(homeserver_url, token)]),
    agentService(services),
    ...[...principals()].flatMap((principal) => cellSources(principal, bootstrap.run_dir, at)),
  ];
}

function cellSources(
  { localpart: principal, attachment, status, isLive }: ManagedPrincipal,
  runDir: string,
  at: (process: string, socket: string) => Source,
): Source[] {
  const { adminSocket } = attachment;
  if (adminSocket === null || status === null || !isLive) return [];
  const relay = at("relay", `${runDir}/p/${status.hash}/observe/relay.sock`);
  return [
    { ...at("proxy", adminSocket), principal },
    { ...relay, principal, comesAndGoes: true },
  ];
}

/** It serves agents too, so it tells only who comes with a token of the machine's own. */
function agentService(services: Needed["services"]): Source {
  return {
    process: "agent-service",
    prefix: "bureau_agent_service_",
    comesAndGoes: true,
    ask: async (signal) => {
      const door = await services.asMachine("agent").catch((thrown) => {
        throw new NotThere(messageOf(thrown));
      });
      return await askSocket(door.socket, signal, { authorization: `Bearer ${door.token}` });
    },
  };
}
