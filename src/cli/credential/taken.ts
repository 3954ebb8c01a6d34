// SPDX-License-Identifier: Apache-2.0

/** What became of sealed credentials: whether the agent has them, and what it cost. */
import type { PrincipalView } from "../../daemon/api.ts";
import { sha256Hex } from "../../lib/canonical/mod.ts";
import { systemClock } from "../../lib/clock.ts";
import { HttpApiError } from "../../lib/http/mod.ts";
import type { Credentials } from "../../lib/schema/mod.ts";
import { sealedText } from "../../lib/sealed/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { asCalled } from "../framework/called.ts";
import type { Invocation } from "../framework/command.ts";
import { daemonClient, isUnreachable, loadSession, type OperatorSession } from "../session.ts";

const TAKEN_MS = 20_000;
const LOOK_MS = 100;

/**
 * `live`: without a restart; `later`: from its next start; `pending`: not within the time that this waited;
 * `elsewhere`: another machine's daemon takes it, which does not answer here.
 */
export type Taken = "live" | "restarted" | "later" | "pending" | "refused" | "elsewhere";

export interface Watched {
  /** What the agent is, or null where nobody can say. */
  readonly before: PrincipalView | null;
  readonly localpart: string;
  /** The machine that it is on, when that is another one. */
  readonly elsewhere: string | null;
}

export async function lookBefore(
  call: Invocation,
  session: OperatorSession,
  localpart: string,
): Promise<Watched> {
  const { machine } = await loadSession(call);
  if (machine !== session.machine) return { before: null, localpart, elsewhere: session.machine };
  return { before: await look(call, session, localpart), localpart, elsewhere: null };
}

export interface Words {
  readonly live: string;
  readonly restarted: string;
  readonly later: string;
  /** What it can't run with. */
  readonly refused: string;
}

const GIVEN: Words = {
  live: "its proxy uses it from now on; the agent was not restarted",
  restarted: "the agent was restarted with it: its sandbox itself holds something of it",
  later: "it is used from the agent's next start",
  refused: "the agent can't run with it",
};

/** Waits until the agent has what was written, and says so. */
export async function tellTaken(
  call: Invocation,
  session: OperatorSession,
  { before, localpart, elsewhere }: Watched,
  written: Credentials,
  words: Words = GIVEN,
): Promise<Taken> {
  if (elsewhere !== null) {
    call.print(`${elsewhere} takes it over when it hears of it`);
    return "elsewhere";
  }
  const digest = await sha256Hex(sealedText(written));
  const isRunning = before?.phase === "running" || before?.phase === "starting";
  if (!isRunning) {
    call.print(words.later);
    return "later";
  }
  using _ = call.progress?.(`waiting until ${localpart} has it`);
  const deadline = systemClock.now() + TAKEN_MS;
  let view: PrincipalView | null = before;
  while (systemClock.now() < deadline) {
    view = await look(call, session, localpart);
    if (view?.phase === "running" && view.credentials_digest === digest) {
      const taken = view.since === before.since ? "live" : "restarted";
      call.print(
        words[taken],
      );
      return taken;
    }
    if (view?.phase === "failed" && view.message !== null) {
      call.print(`${words.refused}: ${neutraliseLine(view.message)}`);
      return "refused";
    }
    await systemClock.sleep(LOOK_MS, call.signal);
  }
  call.print(asCalled(`it is not in use yet; \`bureau agent show\` says what ${localpart} does`));
  return "pending";
}

async function look(
  call: Invocation,
  session: OperatorSession,
  localpart: string,
): Promise<PrincipalView | null> {
  const daemon = daemonClient(call, session);
  try {
    return await daemon.call("show", { params: { principal: localpart }, signal: call.signal });
  } catch (thrown) {
    if (isUnreachable(thrown) || (thrown instanceof HttpApiError && thrown.status === 404)) {
      return null;
    }
    throw thrown;
  } finally {
    daemon.close();
  }
}
