// SPDX-License-Identifier: Apache-2.0

/** The daemon's socket: every request is somebody's, and shows what that somebody may see. */
import type { launcherApi } from "../launcher/api.ts";
import { type Client, createHandler, sseResponse } from "../lib/http/mod.ts";
import { resolvePrincipal } from "../lib/ref/mod.ts";
import type { StateEvent } from "../messaging/mod.ts";
import type { TokenVerifier } from "./access.ts";
import { daemonApi, type DaemonBootstrap, type DaemonStatus } from "./api.ts";
import type { Approvals } from "./approvals/approvals.ts";
import { createApprovalHandlers } from "./approvals/serve.ts";
import type { EgressAsks } from "./asks/asks.ts";
import { describeEgress } from "./asks/policy_view.ts";
import { decideAsk, followAsks } from "./asks/serve.ts";
import type { AttentionDesk } from "./attention/desk.ts";
import type { Notifier } from "./attention/notify/notifier.ts";
import { createAuthorityHandlers } from "./authority_serve.ts";
import { DECIDE_ASKS } from "./deciders.ts";
import { DaemonError } from "./errors.ts";
import type { Fanout } from "./fanout.ts";
import { createMatrixHandlers } from "./fanout_serve.ts";
import { metricsResponse } from "../lib/metrics/mod.ts";
import { createMetrics, type MetricsDoor, type PassCount } from "./metrics/mod.ts";
import type { MachineAuthority } from "./machine_authority.ts";
import { joinRelay } from "./observe.ts";
import type { Peers } from "./peer/peers.ts";
import { createPeerHandlers } from "./peer/serve.ts";
import type { Services } from "./services/mod.ts";
import { createServiceHandlers } from "./services/serve.ts";
import type { Spending } from "./spending.ts";
import type { ManagedPrincipal } from "./principal.ts";
import { createRecordingHandlers } from "./recordings/serve.ts";
import type { WantedRelease } from "./upgrade/wanted.ts";
import { guestOf } from "./web/guest.ts";
import { auditLogin, createWebHandlers } from "./web/serve.ts";
import type { Web } from "./web/web.ts";

export interface Served {
  readonly verifier: TokenVerifier;
  readonly fleet: string;
  readonly serverName: string;
  readonly principals: () => Iterable<ManagedPrincipal>;
  readonly principal: (localpart: string) => ManagedPrincipal | undefined;
  readonly authority: MachineAuthority;
  readonly status: () => Omit<DaemonStatus, "principals" | "asks">;
  readonly asks: EgressAsks;
  readonly approvals: Approvals;
  readonly spending: Spending;
  readonly attention: AttentionDesk;
  readonly notifier: Notifier;
  /** Ends streams when the daemon ends. */
  readonly closing: AbortSignal;
  /** Asks the launcher for a relay. @returns its socket on the host */
  readonly openRelay: (principal: ManagedPrincipal) => Promise<string>;
  /** For what the daemon only passes on. */
  readonly launcher: Client<typeof launcherApi>;
  /** Of the thread of the egress gates. */
  readonly gateRestarts: () => number;
  readonly passes: PassCount;
  readonly syncErrors: () => number;
  readonly bootstrap: DaemonBootstrap;
  readonly metricsDoor: MetricsDoor;
  /** The daemon's own. */
  readonly stateDir: string;
  readonly fanout: Fanout;
  readonly services: Pick<Services, "mint" | "offer" | "asMachine">;
  readonly upgrade: Pick<WantedRelease, "ask">;
  readonly roomState: (room: string) => Promise<readonly StateEvent[]>;
  readonly web: Web;
  readonly peers: Peers;
  readonly log: import("../lib/log.ts").Logger;
}

export function createDaemonHandler(served: Served): (request: Request) => Promise<Response> {
  const { authority } = served;
  const gatherer = createMetrics(served);
  const viewerOf = (request: Request) => served.verifier.userOf(request);

  const observable = (viewer: string) =>
    [...served.principals()].filter(({ userId }) => authority.may(viewer, "observe", userId));

  const viewOf = (principal: ManagedPrincipal) => ({
    ...principal.view(),
    ...served.attention.of(principal.localpart),
  });

  const visible = (viewer: string) =>
    observable(viewer)
      .map(viewOf)
      .sort((a, b) => a.principal < b.principal ? -1 : 1);

  /** What may not be seen is answered like what is not there. */
  function find(viewer: string, name: string, action = "observe", what = ""): ManagedPrincipal {
    const principal = served.principal(resolvePrincipal(name, served.fleet, served.serverName));
    const may = (wanted: string) =>
      principal !== undefined && authority.may(viewer, wanted, principal.userId);
    // Looking at what is there is not written down; doing something is, and trying to.
    const allowed = action === "observe" || principal === undefined
      ? may(action)
      : authority.audited(viewer, action, principal.userId, { what });
    if (allowed) return principal!;
    if (!may("observe")) {
      throw new DaemonError(
        "not-found",
        `Cannot find "${name}": no such principal on this machine, or not yours to see`,
        { status: 404, hint: "`bureau agent list` shows what is there" },
      );
    }
    throw new DaemonError("forbidden", `Cannot do that to "${name}": you lack "${action}" on it`, {
      status: 403,
      hint: `\`bureau auth check me ${action} ${name}\` says why`,
    });
  }

  async function setFrozen(
    request: Request,
    name: string,
    what: "freeze" | "thaw",
  ): Promise<{ frozen: boolean }> {
    const viewer = await viewerOf(request);
    const { localpart } = find(viewer, name, "interrupt", what);
    const { frozen } = await served.launcher.call(what, { params: { principal: localpart } });
    served.log.info(what, { principal: localpart, by: viewer });
    return { frozen: frozen ?? false };
  }

  /** @returns who asks, when they may do that on this machine */
  async function onMachine(request: Request, action: string): Promise<string> {
    const viewer = await viewerOf(request);
    if (authority.mayOnMachine(viewer, action)) return viewer;
    throw new DaemonError("forbidden", `Cannot do that: you lack "${action}" on this machine`, {
      status: 403,
      hint: `operators have it; \`bureau auth check me ${action} machine\` says why you don't`,
    });
  }

  const handler = createHandler(daemonApi, {
    ...createMatrixHandlers(served),
    ...createAuthorityHandlers(served),
    ...createRecordingHandlers(served),
    ...createApprovalHandlers({ ...served, onMachine }),
    ...createServiceHandlers(served),
    ...createWebHandlers({
      ...{ web: served.web, authority, onMachine },
      observable: (viewer, name) => find(viewer, name).localpart,
    }),
    ...createPeerHandlers({
      ...{ peers: served.peers, machine: authority.trust.machine, onMachine },
      log: served.log,
    }),
    health: () => {
      const { sync, launcher } = served.status();
      return { status: "ok", ready: sync.state === "ok" && launcher.connected };
    },
    upgrade: ({ request, body }) => served.upgrade.ask(request, body),
    status: async ({ request }) => {
      const viewer = await viewerOf(request);
      const asks = authority.mayOnMachine(viewer, DECIDE_ASKS) ? served.asks.view.pending : [];
      return { ...served.status(), principals: visible(viewer), asks };
    },
    list: async ({ request }) => ({ principals: visible(await viewerOf(request)) }),
    show: async ({ request, params }) =>
      viewOf(find(await viewerOf(request), params["principal"]!)),
    attention: async ({ request }) => {
      const viewer = await viewerOf(request);
      const may = (name: string) => {
        const principal = served.principal(name);
        return principal !== undefined && authority.may(viewer, "observe", principal.userId);
      };
      return sseResponse((send) => served.attention.follow(may, send), served.closing);
    },
    notifyTargets: async ({ request }) => {
      await onMachine(request, "notify");
      return { targets: [...served.notifier.view] };
    },
    notifyTest: async ({ request, body }) => {
      const viewer = await onMachine(request, "notify");
      served.log.info("notifications tested", { by: viewer });
      return await served.notifier.test(body.target);
    },
    usage: async ({ request, params }) => {
      const { localpart } = find(await viewerOf(request), params["principal"]!);
      return await served.launcher.call("usage", { params: { principal: localpart } });
    },
    output: async ({ request, params, query }) => {
      const { localpart } = find(await viewerOf(request), params["principal"]!);
      const lines = query.get("lines");
      return await served.launcher.call("output", {
        params: { principal: localpart },
        query: lines === null ? {} : { lines },
      });
    },
    agentMetrics: async ({ request, params }) => {
      const { localpart, attachment } = find(await viewerOf(request), params["principal"]!);
      const account = await served.spending.of(localpart);
      return { proxy: await attachment.stats(), ...account.report() };
    },
    freeze: async ({ request, params }) => await setFrozen(request, params["principal"]!, "freeze"),
    thaw: async ({ request, params }) => await setFrozen(request, params["principal"]!, "thaw"),
    kill: async ({ request, params }) => {
      const viewer = await viewerOf(request);
      const { localpart } = find(viewer, params["principal"]!, "interrupt/terminate", "kill");
      const answer = await served.launcher.call("kill", { params: { principal: localpart } });
      served.log.info("kill", { principal: localpart, by: viewer });
      return answer;
    },
    traffic: async ({ request }) => ({
      principals: observable(await viewerOf(request)).map(({ localpart, attachment }) => ({
        principal: localpart,
        ...attachment.egressUsage,
      })),
    }),
    metrics: async ({ request }) => {
      await onMachine(request, "metrics");
      return metricsResponse(request, await gatherer.gather());
    },
    egressOf: async ({ request, params }) => {
      const { localpart, evaluation } = find(await viewerOf(request), params["principal"]!);
      return describeEgress(localpart, evaluation, served.asks.desk.rules.of(localpart));
    },
    asks: async ({ request }) => {
      await onMachine(request, DECIDE_ASKS);
      return served.asks.view;
    },
    decide: async ({ request, body }) => {
      const viewer = await onMachine(request, DECIDE_ASKS);
      const { principal: name, ...rest } = body;
      const principal = name === undefined ? {} : { principal: find(viewer, name).localpart };
      const { ask, verdict } = rest;
      authority.audited(viewer, DECIDE_ASKS, authority.trust.machine, { ask, verdict });
      const answer = decideAsk(served.asks, { ...rest, ...principal }, viewer);
      // Whoever hears that it is decided may rely on it after a restart.
      await served.asks.settled();
      return answer;
    },
    followAsks: async ({ request }) => {
      await onMachine(request, DECIDE_ASKS);
      return followAsks(served.asks, served.closing);
    },
    observe: async ({ request, params, query }) => {
      const viewer = await viewerOf(request);
      const principal = find(viewer, params["principal"]!);
      const wanted = query.get("mode") ?? "readonly";
      if (wanted !== "readonly" && wanted !== "readwrite") {
        throw new DaemonError("bad-mode", `Cannot observe in mode "${wanted}"`, {
          status: 400,
          hint: "readonly or readwrite",
        });
      }
      // Nobody types into a terminal of their own.
      const guest = guestOf(request);
      const mayType = () =>
        guest?.readOnly !== true && principal.userId !== viewer &&
        authority.may(viewer, "observe/read-write", principal.userId);
      const relaySocket = await served.openRelay(principal);
      return await joinRelay({
        request,
        who: guest?.who ?? viewer,
        asked: wanted,
        relaySocket,
        log: served.log,
        mayNow: () =>
          guest?.alive() === false || !authority.may(viewer, "observe", principal.userId)
            ? null
            : mayType()
            ? "readwrite"
            : "readonly",
        onStart: (mode) => {
          principal.attachment.watchers++;
          served.attention.seen(principal.localpart);
          const action = mode === "readwrite" ? "observe/read-write" : "observe";
          const target = principal.userId;
          authority.audited(viewer, action, target, { wanted, who: guest?.who ?? viewer });
          served.log.info("observation begins", {
            principal: principal.localpart,
            watcher: viewer,
            mode,
          });
          return () => {
            principal.attachment.watchers--;
            authority.audit.record({ decision: "end", actor: viewer, action, target });
            served.log.info("observation ends", {
              principal: principal.localpart,
              watcher: viewer,
            });
          };
        },
      });
    },
  });
  served.web.open(handler, auditLogin(authority));
  served.peers.open(handler);
  served.metricsDoor.open(gatherer);
  return handler;
}
