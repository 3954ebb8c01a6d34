// SPDX-License-Identifier: Apache-2.0

/** `web token …` and `web share …`. */
import type { WebGrantView, WebIssued } from "../../daemon/api.ts";
import { ago, shortName } from "../agent/list.ts";
import type { CommandHandler, Destroyer, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { table } from "../framework/table.ts";
import { daemonClient, loadSession, principalOf } from "../session.ts";
import type * as results from "./results.ts";

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** @throws {CliError} `usage` */
function duration({ flags }: Invocation): number {
  const match = /^(\d{1,5})(m|h|d)$/.exec(String(flags["for"]));
  const ms = match === null ? NaN : Number(match[1]) * UNITS[match[2]!]!;
  if (ms > 0) return ms;
  throw new CliError("usage", `Cannot give it out for "${flags["for"]}"`, {
    hint: "30m, 1h, 2d",
  });
}

type Daemon = ReturnType<typeof daemonClient>;

async function withDaemon<T>(
  call: Invocation,
  use: (daemon: Daemon, session: Awaited<ReturnType<typeof loadSession>>) => Promise<T>,
): Promise<T> {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  try {
    return await use(daemon, session);
  } finally {
    daemon.close();
  }
}

function show(call: Invocation, issued: WebIssued): void {
  for (const url of issued.urls) call.print(url);
  call.print(
    `until ${new Date(issued.expires_at).toISOString()}; revoke it by its id ${issued.id}`,
  );
}

export const create: CommandHandler<typeof results.create> = (call) =>
  withDaemon(call, async (daemon) => {
    const body = { name: call.args[0]!, for_ms: duration(call) };
    const issued = await daemon.call("webTokenCreate", { body, signal: call.signal });
    call.print(issued.token);
    call.print("Shown this once. Paste it on the page, or open one of:");
    show(call, issued);
    return issued;
  });

export const share: CommandHandler<typeof results.share> = (call) =>
  withDaemon(call, async (daemon, session) => {
    const principal = principalOf(session, call.args[0]!);
    const body = { principal, for_ms: duration(call) };
    const issued = await daemon.call("webShareCreate", { body, signal: call.signal });
    show(call, issued);
    return issued;
  });

function showGrants(call: Invocation, grants: readonly WebGrantView[], nothing: string): void {
  if (grants.length === 0) return call.print(nothing);
  const rows = grants.map((grant) => [
    grant.id,
    grant.kind,
    grant.principal === null ? grant.name : shortName(grant.principal),
    grant.user,
    new Date(grant.expires_at).toISOString(),
    grant.used_at === null ? "never" : `${ago(grant.used_at)} ago`,
    String(grant.sessions),
  ]);
  const heading = ["ID", "KIND", "WHAT", "BY", "UNTIL", "LAST LOGIN", "BROWSERS"];
  for (const line of table(heading, rows, ["BY", "BROWSERS", "LAST LOGIN"])) call.print(line);
}

export const list: CommandHandler<typeof results.list> = (call) =>
  withDaemon(call, async (daemon) => {
    const answer = await daemon.call("webTokens", { signal: call.signal });
    showGrants(call, answer.grants, "no token, and nobody is logged in by a link");
    return answer;
  });

export const shares: CommandHandler<typeof results.shares> = (call) =>
  withDaemon(call, async (daemon) => {
    const answer = await daemon.call("webShares", { signal: call.signal });
    showGrants(call, answer.grants, "nothing is shared");
    return answer;
  });

const end = (
  route: "webTokenRevoke" | "webShareRevoke",
  what: string,
): Destroyer<typeof results.revoke> =>
(call) => {
  const id = call.args[0]!;
  return Promise.resolve({
    what: `end ${what} ${id}`,
    lines: ["every browser that is logged in by it is out at once"],
    run: () =>
      withDaemon(call, async (daemon) => {
        const answer = await daemon.call(route, { params: { id }, signal: call.signal });
        call.print(
          `revoked; ${answer.sessions} browser${answer.sessions === 1 ? " is" : "s are"} out`,
        );
        return answer;
      }),
  });
};

export const revoke = end("webTokenRevoke", "the token");
export const unshare = end("webShareRevoke", "the shared link");
