// SPDX-License-Identifier: Apache-2.0

/** `/v1/machines/…` of the daemon's socket. */
import type { Handlers } from "../../lib/http/mod.ts";
import { OBSERVE_PROTOCOL } from "../../observe/api.ts";
import type { Logger } from "../../lib/log.ts";
import type { daemonApi } from "../api.ts";
import { DaemonError } from "../errors.ts";
import { WATCHER_WORDS } from "../observe.ts";
import type { peerRoutes } from "./api.ts";
import { decodeWarrant } from "./assertion.ts";
import { isPeerPath, type Peers } from "./peers.ts";
import { relayFrames } from "./through.ts";

export interface PeersServed {
  readonly peers: Peers;
  /** User id of this machine. */
  readonly machine: string;
  /** Who asks, when they may do that on this machine. @throws {DaemonError} `forbidden` */
  readonly onMachine: (request: Request, action: string) => Promise<string>;
  readonly log: Logger;
}

export function createPeerHandlers(
  { peers, machine, onMachine, log }: PeersServed,
): Pick<Handlers<typeof daemonApi>, keyof typeof peerRoutes> {
  /** What the machine at the other end looks at is looked at here first: the mistakes of one's own. */
  async function warrantOf(
    request: Request,
    named: string,
    query: URLSearchParams,
    observes: boolean,
  ): Promise<Record<string, unknown>> {
    const viewer = await onMachine(request, "peer/ask");
    const warrant = decodeWarrant(query.get("warrant") ?? "");
    if (warrant === null || !isPeerPath(String(warrant["path"]), observes)) {
      throw new DaemonError(
        "bad-warrant",
        "Cannot ask another machine: that is no warrant for it",
        {
          status: 400,
          hint: "`bureau observe NAME --machine MACHINE` makes one",
        },
      );
    }
    const isRight = warrant["subject"] === viewer && warrant["via"] === machine &&
      warrant["machine"] === named && warrant["path"] === query.get("path");
    if (isRight) return warrant;
    throw new DaemonError(
      "wrong-warrant",
      "Cannot ask another machine: the warrant is for another request, or somebody else's",
      { status: 403 },
    );
  }

  return {
    askPeer: async ({ request, params, query }) =>
      await peers.ask(await warrantOf(request, params["machine"]!, query, false)),
    observePeer: async ({ request, params, query }) => {
      const warrant = await warrantOf(request, params["machine"]!, query, true);
      const words = new URLSearchParams({ mode: String(warrant["mode"]) });
      for (const [name, form] of Object.entries(WATCHER_WORDS)) {
        const value = query.get(name);
        if (value !== null && form.test(value)) words.set(name, value);
      }
      const { socket, close } = await peers.watch(warrant, words, OBSERVE_PROTOCOL);
      log.info("watches on another machine", {
        machine: String(warrant["machine"]),
        path: String(warrant["path"]),
        watcher: String(warrant["subject"]),
      });
      return await relayFrames(request, socket, close);
    },
  };
}
