// SPDX-License-Identifier: Apache-2.0

/** `/v1/approvals` of the daemon's socket: of each agent, for those who may decide about it. */
import { type Handlers, sseResponse } from "../../lib/http/mod.ts";
import type { TokenVerifier } from "../access.ts";
import type { daemonApi } from "../api.ts";
import { DaemonError } from "../errors.ts";
import type { MachineAuthority } from "../machine_authority.ts";
import type { ManagedPrincipal } from "../principal.ts";
import { type Approvals, APPROVE_TOOLS } from "./approvals.ts";

export interface ApprovalsServed {
  readonly approvals: Approvals;
  readonly verifier: TokenVerifier;
  readonly authority: MachineAuthority;
  readonly principals: () => Iterable<ManagedPrincipal>;
  readonly principal: (localpart: string) => ManagedPrincipal | undefined;
  /** Ends streams when the daemon ends. */
  readonly closing: AbortSignal;
}

type Names = "approvals" | "decideApproval" | "followApprovals";

export function createApprovalHandlers(
  { approvals, verifier, authority, principals, principal, closing }: ApprovalsServed,
): Pick<Handlers<typeof daemonApi>, Names> {
  /** Nobody decides about calls of their own. */
  const mayOf = (viewer: string) => (name: string) => {
    const user = principal(name)?.userId;
    return user !== undefined && user !== viewer && authority.may(viewer, APPROVE_TOOLS, user);
  };
  return {
    approvals: async ({ request }) => approvals.view(mayOf(await verifier.userOf(request))),
    decideApproval: async ({ request, body }) => {
      const viewer = await verifier.userOf(request);
      const may = mayOf(viewer);
      if (![...principals()].some(({ localpart }) => may(localpart))) {
        throw new DaemonError("forbidden", `Cannot decide: you lack "${APPROVE_TOOLS}"`, {
          status: 403,
          hint: `\`bureau auth check me ${APPROVE_TOOLS} NAME\` says why`,
        });
      }
      const decided = await approvals.decide(body, viewer, may);
      const { id: approval, verdict } = decided;
      authority.audited(viewer, APPROVE_TOOLS, principal(decided.principal)!.userId, {
        ...{ approval, verdict: verdict ?? "" },
      });
      return decided;
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
