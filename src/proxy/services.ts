// SPDX-License-Identifier: Apache-2.0

/** `GET /v1/services`: what the caller may reach by name, without anything of its credentials. */
import type { RequestRule } from "../lib/schema/events.ts";
import type { ServiceForwarder } from "./forward.ts";
import type { ProxyState } from "./state.ts";

export interface ListedService {
  readonly name: string;
  readonly kind: "http";
  /** Where it is on this socket. */
  readonly path: string;
  /** The upstream's host; null: something on this machine. */
  readonly host: string | null;
  /** As in the template; absent: every request. */
  readonly allow?: readonly RequestRule[];
  readonly deny?: readonly RequestRule[];
}

/** Only those that the caller may use at this moment. */
export function listServices(
  state: ProxyState,
  services: ReadonlyMap<string, ServiceForwarder>,
): ListedService[] {
  const listed: ListedService[] = [];
  for (const name of [...services.keys()].sort()) {
    const bound = state.bootstrap.services[name];
    if (bound === undefined || !state.allows(`http/${name}`)) continue;
    const { protocol, hostname } = new URL(bound.upstream);
    listed.push({
      name,
      kind: "http",
      path: `/http/${name}/`,
      // Plain http is for loopback alone.
      host: protocol === "http:" ? null : hostname,
      ...(bound.allow === undefined ? {} : { allow: bound.allow }),
      ...(bound.deny === undefined ? {} : { deny: bound.deny }),
    });
  }
  return listed;
}
