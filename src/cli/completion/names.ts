// SPDX-License-Identifier: Apache-2.0

/** Names of what there is now, for a shell that completes them: quickly, or not at all. */
import type { daemonApi } from "../../daemon/api.ts";
import type { Client } from "../../lib/http/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import { builtinTemplates } from "../../lib/template/mod.ts";
import { shortName } from "../agent/list.ts";
import { bureauRooms, bureauSpace } from "../bureau_rooms.ts";
import type { CommandContext, Named } from "../framework/command.ts";
import type { Proposal } from "../framework/complete.ts";
import { readFleet } from "../machine/fleet.ts";
import { daemonClient, loadSession, matrixClient, type OperatorSession } from "../session.ts";
import { builtinRef } from "../template/list.ts";

/** Somebody waits with a finger on the key. */
const PATIENCE_MS = 1_500;

type Names = Exclude<Named, "file">;

interface Asking {
  readonly session: OperatorSession;
  readonly daemon: Client<typeof daemonApi>;
  readonly signal: AbortSignal;
  /** How the name begins, which may say in which form it is wanted. */
  readonly begun: string;
}

/** @throws when Bureau isn't there, or takes too long */
export async function namesOf(
  call: CommandContext,
  of: Names,
  begun: string,
): Promise<readonly Proposal[]> {
  const session = await loadSession(call);
  const signal = AbortSignal.any([call.signal, AbortSignal.timeout(PATIENCE_MS)]);
  const late = Promise.withResolvers<never>();
  signal.addEventListener("abort", () => late.reject(signal.reason), { once: true });
  const daemon = daemonClient(call, session);
  try {
    return await Promise.race([SOURCES[of]({ session, daemon, signal, begun }), late.promise]);
  } finally {
    daemon.close();
  }
}

/** `agent/scribe` and `scribe` are the same: in full to who begins so. */
async function principals(
  { daemon, signal, begun }: Asking,
  { only, short }: { readonly only?: string; readonly short: string },
): Promise<Proposal[]> {
  const isFull = begun.startsWith(short) || begun !== "" && short.startsWith(begun);
  const answer = await daemon.call("list", { signal });
  return answer.principals
    .map(({ principal, phase }) => ({ word: shortName(principal), brief: phase }))
    .filter(({ word }) => only === undefined || word.startsWith(only))
    .flatMap((one) => {
      if (!one.word.startsWith(short)) return [one];
      const bare = { ...one, word: one.word.slice(short.length) };
      return isFull ? [bare, one] : [bare];
    });
}

const SOURCES: Readonly<Record<Names, (asking: Asking) => Promise<readonly Proposal[]>>> = {
  agent: (asking) => principals(asking, { only: "agent/", short: "agent/" }),
  service: (asking) => principals(asking, { only: "service/", short: "service/" }),
  principal: (asking) => principals(asking, { short: "agent/" }),
  approval: async ({ daemon, signal }) => {
    const { pending } = await daemon.call("approvals", { signal });
    return pending.map(({ id, principal, tool }) => ({
      word: id.slice(0, 6),
      brief: `${shortName(principal)}: ${tool}`,
    }));
  },
  ask: async ({ daemon, signal }) => {
    const { pending } = await daemon.call("asks", { signal });
    return pending.map(({ id, principal, host }) => ({
      word: id,
      brief: `${shortName(principal)}: ${host}`,
    }));
  },
  machine: async ({ session }) =>
    (await readFleet(matrixClient(session), session))
      .map(({ name, here }) => ({ word: name, brief: here ? "this one" : "" })),
  room: async (asking) => {
    const { session } = asking;
    const rooms = [bureauSpace(session), ...bureauRooms(session, session.machine)]
      .map(({ alias, name }) => ({ word: `#${alias}`, brief: name }));
    // Those of Bureau itself are known without asking anybody.
    return [...await principals(asking, { short: "agent/" }).catch(() => []), ...rooms];
  },
  template: async ({ session }) => {
    const known = new Map(
      Object.entries(builtinTemplates)
        .map(([name, { description = "" }]) => [builtinRef(session, name), description]),
    );
    const client = matrixClient(session);
    const room = await client.resolveAlias(`#${session.namespace}/template:${session.server_name}`);
    for (const { type, state_key, content } of room === null ? [] : await client.roomState(room)) {
      if (type !== EventType.template || Object.keys(content).length === 0) continue;
      const word = builtinRef(session, state_key);
      if (!known.has(word)) known.set(word, String(content["description"] ?? ""));
    }
    return [...known].map(([word, brief]) => ({ word, brief }));
  },
};
