// SPDX-License-Identifier: Apache-2.0

/** On which machine it is watched: here, on the one that was named, or on the one that it is assigned to. */
import type { PrincipalView } from "../../daemon/api.ts";
import { BureauError } from "../../lib/errors.ts";
import type { Invocation } from "../framework/command.ts";
import type { Incoming } from "./incoming.ts";
import { machineOf } from "../machine/fleet.ts";
import { hereDaemon, type MachineDaemon, peerDaemon } from "../machine/peer.ts";
import { whereAssigned } from "../machine/target.ts";
import {
  type daemonClient,
  loadSigningKey,
  matrixClient,
  type OperatorSession,
} from "../session.ts";

export interface Place {
  show(): Promise<PrincipalView>;
  observe(query: Readonly<Record<string, string>>): Promise<Incoming>;
}

/** @param named of the machine; null: it is looked for */
export function placeOf(
  call: Invocation,
  session: OperatorSession,
  daemon: ReturnType<typeof daemonClient>,
  principal: string,
  named: string | null,
): Place {
  const here = hereDaemon(daemon);
  const { signal } = call;
  const on = async (machine: string): Promise<MachineDaemon> =>
    machine === session.machine
      ? here
      : peerDaemon(daemon, session, await loadSigningKey(call), machine);
  let found: Promise<MachineDaemon> | null = named === null ? null : on(machineOf(session, named));
  found?.catch(() => {});

  return {
    async show() {
      if (found !== null) return await (await found).show(principal, signal);
      try {
        return await here.show(principal, signal);
      } catch (thrown) {
        if (!(thrown instanceof BureauError) || thrown.status !== 404) throw thrown;
        const { machine } = await whereAssigned(matrixClient(session), session, principal);
        if (machine === session.machine) throw thrown;
        const there = await on(machine);
        const view = await there.show(principal, signal);
        // From now on only there: what is drawn is of one machine.
        found = Promise.resolve(there);
        return view;
      }
    },
    observe: async (query) => await (await (found ?? here)).observe(principal, query),
  };
}
