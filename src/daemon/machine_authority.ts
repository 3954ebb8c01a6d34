// SPDX-License-Identifier: Apache-2.0

/** `Authority` with what this machine's daemon knows. */
import type { EffectivePolicy } from "../lib/authorization/mod.ts";
import type { Clock } from "../lib/clock.ts";
import type { RoomStates } from "../messaging/mod.ts";
import type { DaemonBootstrap } from "./api.ts";
import type { EgressAsks } from "./asks/asks.ts";
import { Authority } from "./authority.ts";
import { Origins } from "./origins.ts";
import type { ManagedPrincipal } from "./principal.ts";
import { roomPolicy } from "./room_policy.ts";
import { isConfigAdmin, type TrustContext } from "./trust.ts";

export interface Known {
  readonly bootstrap: DaemonBootstrap;
  readonly states: RoomStates;
  /** Null before the first sync. */
  readonly configRoom: () => string | null;
  /** By full localpart. */
  readonly principal: (localpart: string) => ManagedPrincipal | undefined;
  /** With what was decided for a while. */
  readonly extend: EgressAsks["extend"];
  readonly clock: Clock;
}

export class MachineAuthority extends Authority {
  readonly trust: TrustContext;
  readonly origins: Origins;

  constructor(known: Known) {
    const { bootstrap, states, configRoom } = known;
    const trust = { states, machine: bootstrap.user_id, admins: bootstrap.admins };
    super({
      machine: bootstrap.user_id,
      isOperator: (user) => isOperator(known, user),
      principal: (user) => policyOf(known, user),
      room: (key) => {
        const room = configRoom();
        return room === null ? null : roomPolicy(trust, room, key);
      },
      now: () => known.clock.now(),
    });
    this.trust = trust;
    this.origins = new Origins(() => ({ ...trust, configRoom: configRoom() }));
  }
}

/** Before the first sync only the list is known. */
function isOperator({ bootstrap: { admins }, states, configRoom }: Known, user: string): boolean {
  const room = configRoom();
  return room === null ? admins.includes(user) : isConfigAdmin(states, room, user, admins);
}

function policyOf({ principal, extend }: Known, user: string): EffectivePolicy | null {
  const localpart = user.slice(1, user.lastIndexOf(":"));
  const managed = principal(localpart);
  if (managed?.userId !== user) return null;
  const { policy, egress } = managed.evaluation;
  const { grants, denials } = extend(localpart, { policy, egress }).policy;
  return { ...policy, grants, denials };
}
