// SPDX-License-Identifier: Apache-2.0

/**
 * The daemon of another machine of the fleet, by way of this one's. Each request carries a warrant that is signed
 * here: this machine's daemon can ask for nothing else in the operator's name.
 */
import {
  daemonApi,
  encodeWarrant,
  type PrincipalView,
  type Warrant,
  WARRANT_MS,
} from "../../daemon/api.ts";
import type { Usage } from "../../launcher/api.ts";
import { userId } from "../../lib/ref/mod.ts";
import { signContent, type SigningKey } from "../../lib/signature/mod.ts";
import { OBSERVE_PROTOCOL, type ObserveMode } from "../../observe/api.ts";
import { CliError } from "../framework/exit.ts";
import { Incoming } from "../observe/incoming.ts";
import type { daemonClient, OperatorSession } from "../session.ts";

/** What `observe` and `list` ask a machine's daemon, this one's or another's. */
export interface MachineDaemon {
  list(signal: AbortSignal): Promise<readonly PrincipalView[]>;
  show(principal: string, signal: AbortSignal): Promise<PrincipalView>;
  usage(principal: string, signal: AbortSignal): Promise<Usage>;
  observe(principal: string, query: Readonly<Record<string, string>>): Promise<Incoming>;
}

type Daemon = ReturnType<typeof daemonClient>;

export function hereDaemon(daemon: Daemon): MachineDaemon {
  return {
    list: async (signal) => (await daemon.call("list", { signal })).principals,
    show: (principal, signal) => daemon.call("show", { params: { principal }, signal }),
    usage: (principal, signal) => daemon.call("usage", { params: { principal }, signal }),
    observe: (principal, query) =>
      Promise.resolve(
        new Incoming(
          daemon.websocket("observe", { params: { principal }, query, protocol: OBSERVE_PROTOCOL }),
        ),
      ),
  };
}

/** @param machine full localpart */
export function peerDaemon(
  daemon: Daemon,
  session: OperatorSession,
  key: SigningKey,
  machine: string,
): MachineDaemon {
  const target = userId(machine, session.server_name);
  const place = (principal: string, rest = "") =>
    `/v1/principals/${encodeURIComponent(principal)}${rest}`;

  async function warrantFor(path: string, mode: ObserveMode): Promise<string> {
    const now = Date.now();
    const warrant: Omit<Warrant, "signature"> = {
      ...{ kind: "bureau-warrant", version: 1, subject: session.user_id },
      via: userId(session.machine, session.server_name),
      machine: target,
      ...{ path, mode },
      nonce: crypto.getRandomValues(new Uint8Array(16)).toHex(),
      issued_at: now,
      expires_at: now + WARRANT_MS,
    };
    return encodeWarrant(await signContent(warrant, key));
  }

  async function ask(path: string, signal: AbortSignal): Promise<unknown> {
    const query = { path, warrant: await warrantFor(path, "readonly") };
    return await daemon.call("askPeer", { params: { machine: target }, query, signal });
  }

  const { list, show, usage } = daemonApi.routes;
  return {
    list: async (signal) => read(list.response, await ask("/v1/principals", signal)).principals,
    show: async (principal, signal) => read(show.response, await ask(place(principal), signal)),
    usage: async (principal, signal) =>
      read(usage.response, await ask(place(principal, "/usage"), signal)),
    async observe(principal, query) {
      const path = place(principal, "/observe");
      const { mode, ...rest } = query;
      const warrant = await warrantFor(path, mode === "readwrite" ? "readwrite" : "readonly");
      return new Incoming(daemon.websocket("observePeer", {
        params: { machine: target },
        query: { ...rest, path, warrant },
        protocol: OBSERVE_PROTOCOL,
      }));
    },
  };

  /** @throws {CliError} `bad-response` */
  function read<T>(schema: { parse(value: unknown): T }, answer: unknown): T {
    try {
      return schema.parse(answer);
    } catch (cause) {
      throw new CliError("bad-response", `Cannot read the answer of "${machine}"`, {
        cause,
        status: 502,
        hint: "both machines must run the same release",
      });
    }
  }
}
