// SPDX-License-Identifier: Apache-2.0

/** `observe`: this terminal becomes a window on the agent's, until the person leaves or the agent ends. */
import { systemClock } from "../../lib/clock.ts";
import { BureauError, messageOf } from "../../lib/errors.ts";
import type { PrincipalView } from "../../daemon/api.ts";
import { shortName } from "../agent/list.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, isUnreachable, loadSession, principalOf } from "../session.ts";
import { placeOf } from "./place.ts";
import { attachTerminal } from "./attach.ts";
import { dumpScreen } from "./dump.ts";
import type { Incoming } from "./incoming.ts";
import type * as results from "./results.ts";

const CONNECT_ATTEMPTS = 5;
const CONNECT_PAUSE_MS = 400;
const WAIT_PAUSE_MS = 1_000;

export const observe: CommandHandler<typeof results.observe> = async (call) => {
  const dump = call.flags["dump"] === true;
  const wait = call.flags["wait"] === true;
  if (!dump && (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal())) {
    throw new CliError("usage", "Cannot observe: this is not a terminal", {
      hint: "use --dump to print the screen once",
    });
  }
  const since = sinceOf(call.flags["since"]);
  const session = await loadSession(call);
  const { name, machine } = nameAndMachine(call.args[0]!, call.flags["machine"]);
  const principal = principalOf(session, name);
  const daemon = daemonClient(call, session);
  const { signal } = call;
  try {
    const place = placeOf(call, session, daemon, principal, machine);
    const show = () => place.show();
    const connect = (query: Record<string, string>) => place.observe(query);
    const first = (query: Record<string, string>) =>
      connectPatiently(() => connect(query), principal, signal);
    // A plain request first: its error says why, where a refused WebSocket says nothing.
    if (wait) await untilThere(call, show);
    else refuseAway(await show());
    if (dump) return await dumpScreen(call, first, principal, since);
    const readOnly = call.flags["readonly"] === true || call.flags["read-only"] === true;
    const reason = await attachTerminal({
      name: shortName(principal),
      mode: readOnly ? "readonly" : "readwrite",
      ...(since === undefined ? {} : { since }),
      wait,
      first,
      connect,
      over: async () => {
        try {
          return awayReason(await show());
        } catch (thrown) {
          if (thrown instanceof BureauError && isFinal(thrown)) return thrown.message;
          throw thrown;
        }
      },
      signal,
    });
    console.error(`left ${principal}: ${reason}`);
    return { principal, reason };
  } finally {
    daemon.close();
  }
};

/** Seconds. @throws {CliError} `usage` */
export function sinceOf(flag: unknown): number | undefined {
  if (flag === undefined) return undefined;
  const [, number, unit] = /^(\d{1,6})([smh]?)$/.exec(String(flag)) ?? [];
  if (number === undefined || Number(number) === 0) {
    throw new CliError("usage", `Cannot read the time "${flag}"`, {
      hint: "for example --since 90s, --since 10m, --since 1h",
    });
  }
  return Number(number) * { s: 1, m: 60, h: 3600 }[(unit || "s") as "s" | "m" | "h"];
}

/** `scribe@worker`; a user id has its server behind a colon. */
export function nameAndMachine(
  text: string,
  flag: unknown,
): { readonly name: string; readonly machine: string | null } {
  const [, name, behind] = /^([^@:]+)@([^@:]+)$/.exec(text) ?? [];
  if (behind !== undefined && flag !== undefined && flag !== behind) {
    throw new CliError("usage", `Cannot observe "${text}" on "${flag}"`);
  }
  const machine = behind ?? (flag === undefined ? null : String(flag));
  return { name: name ?? text, machine };
}

/** Another machine that can't be reached now. */
function isPeerAway(thrown: unknown): boolean {
  return thrown instanceof BureauError && thrown.status === 503 && thrown.code.startsWith("peer-");
}

function awayReason(view: PrincipalView): string | null {
  if (view.phase !== "running") return `it is ${view.phase}`;
  return view.frozen === true ? "it is frozen, its terminal too" : null;
}

/** @throws {CliError} `not-observable`, `frozen` */
function refuseAway(view: PrincipalView): void {
  const why = awayReason(view);
  if (why === null) return;
  const frozen = view.phase === "running";
  throw new CliError(
    frozen ? "frozen" : "not-observable",
    `Cannot observe "${view.principal}": ${why}`,
    {
      hint: frozen
        ? "`bureau agent thaw` lets it go on"
        : view.hint ?? "`bureau agent show` says more",
    },
  );
}

/** Nothing that time mends: there is none of that name, or no right to it. */
function isFinal({ status, code }: BureauError): boolean {
  return code !== "unreachable" && (status === 401 || status === 403 || status === 404);
}

/** @throws what is final */
async function untilThere(call: Invocation, show: () => Promise<PrincipalView>): Promise<void> {
  let told = "";
  while (true) {
    let why: string | null;
    try {
      why = awayReason(await show());
    } catch (thrown) {
      if (!isUnreachable(thrown) && !isPeerAway(thrown)) throw thrown;
      why = isUnreachable(thrown) ? "the daemon does not answer" : messageOf(thrown);
    }
    if (why === null) return;
    if (why !== told) console.error(`waiting for ${call.args[0]}: ${why}`);
    told = why;
    await systemClock.sleep(WAIT_PAUSE_MS, call.signal);
    call.signal.throwIfAborted();
  }
}

/**
 * A relay that just ended, or is still being made on a busy machine, is there a moment later; a refusal
 * by right comes again.
 */
async function connectPatiently(
  connect: () => Promise<Incoming>,
  principal: string,
  signal: AbortSignal,
): Promise<Incoming> {
  for (let attempt = 1;; attempt++) {
    const incoming = await connect();
    if (await incoming.opened) return incoming;
    if (attempt >= CONNECT_ATTEMPTS) {
      throw new CliError(
        "refused",
        `Cannot observe "${principal}": the daemon refused the connection`,
        { hint: "`bureau status` shows whether daemon and launcher run" },
      );
    }
    await systemClock.sleep(CONNECT_PAUSE_MS, signal);
  }
}
