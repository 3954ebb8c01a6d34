// SPDX-License-Identifier: Apache-2.0

/** `/v1/approvals` of the daemon's socket: of each agent and of people's workers, for those who may decide about it. */
import { type Handlers, sseResponse } from "../../lib/http/mod.ts";
import type { TokenVerifier } from "../access.ts";
import type { daemonApi } from "../api.ts";
import { DaemonError } from "../errors.ts";
import type { MachineAuthority } from "../machine_authority.ts";
import type { ManagedPrincipal } from "../principal.ts";
import { type Approvals, APPROVE_TOOLS } from "./approvals.ts";
import { isPerson } from "./workers.ts";

/** A question that nobody has answered is asked anew before clients and proxies in between give up. */
const POLL_MS = 20_000;

export interface ApprovalsServed {
  readonly approvals: Approvals;
  readonly verifier: TokenVerifier;
  readonly authority: MachineAuthority;
  readonly principals: () => Iterable<ManagedPrincipal>;
  readonly principal: (localpart: string) => ManagedPrincipal | undefined;
  /** @returns who asks, when they may do that on this machine */
  readonly onMachine: (request: Request, action: string) => Promise<string>;
  /** Ends streams when the daemon ends. */
  readonly closing: AbortSignal;
}

type Names =
  | "approvals"
  | "decideApproval"
  | "askApproval"
  | "withdrawApproval"
  | "followApprovals";

export function createApprovalHandlers(
  { approvals, verifier, authority, principals, principal, onMachine, closing }: ApprovalsServed,
): Pick<Handlers<typeof daemonApi>, Names> {
  const { machine } = authority.trust;
  /** What the right to decide must be on: the agent; the machine, for a worker that is nobody's principal. */
  const targetOf = (asker: string) => isPerson(asker) ? machine : principal(asker)?.userId;
  /** No agent decides about calls of its own. */
  const mayOf = (viewer: string) => (asker: string) => {
    const target = targetOf(asker);
    return target !== undefined && target !== viewer &&
      authority.may(viewer, APPROVE_TOOLS, target);
  };
  return {
    approvals: async ({ request }) => approvals.view(mayOf(await verifier.userOf(request))),
    decideApproval: async ({ request, body }) => {
      const viewer = await verifier.userOf(request);
      const may = mayOf(viewer);
      if (
        !authority.mayOnMachine(viewer, APPROVE_TOOLS) &&
        ![...principals()].some(({ localpart }) => may(localpart))
      ) {
        throw new DaemonError("forbidden", `Cannot decide: you lack "${APPROVE_TOOLS}"`, {
          status: 403,
          hint: `\`bureau auth check me ${APPROVE_TOOLS} NAME\` says why`,
        });
      }
      const decided = await approvals.decide(body, viewer, may);
      const { id: approval, verdict } = decided;
      authority.audited(viewer, APPROVE_TOOLS, targetOf(decided.principal)!, {
        ...{ approval, verdict: verdict ?? "" },
      });
      return decided;
    },
    askApproval: async ({ request, body }) => {
      const user = await onMachine(request, APPROVE_TOOLS);
      const signal = AbortSignal.any([request.signal, closing, AbortSignal.timeout(POLL_MS)]);
      const answer = await approvals.workers.ask(user, body, signal);
      return answer === null ? { decided: false } : { decided: true, ...answer };
    },
    withdrawApproval: async ({ request, body }) => {
      approvals.registry.left(await onMachine(request, APPROVE_TOOLS), body.key);
    },
    followApprovals: async ({ request }) => {
      const viewer = await verifier.userOf(request);
      return sseResponse(
        (send) => approvals.watch(() => send(approvals.view(mayOf(viewer)))),
        closing,
      );
    },
  };
}
