// SPDX-License-Identifier: Apache-2.0

/** `tutorial`: one step after the other, each until it is seen done. */
import { systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { CredentialStore } from "../credential/store.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import {
  daemonClient,
  loadSession,
  loadSigningKey,
  matrixClient,
  principalOf,
} from "../session.ts";
import { type Place, type Step, STEPS } from "./steps.ts";
import type * as results from "./results.ts";

const LOOK_AGAIN_MS = 1_000;

export const tutorial: CommandHandler<typeof results.tutorial> = async (call) => {
  const { from = 1, agent } = call.flags;
  const first = Number(from);
  if (!Number.isInteger(first) || first < 1 || first > STEPS.length) {
    throw new CliError("usage", `Cannot begin with step ${first}: there are 1 to ${STEPS.length}`);
  }
  if (typeof agent !== "string" || !/^[a-z][a-z0-9-]*$/.test(agent)) {
    throw new CliError("usage", `Cannot call an agent "${agent}": give lower-case letters`);
  }
  const session = await loadSession(call);
  const client = matrixClient(session);
  const daemon = daemonClient(call, session);
  const place = {
    session,
    client,
    daemon,
    credentials: new CredentialStore(client, session, await loadSigningKey(call)),
    principal: principalOf(session, agent),
    agent,
    bureau: String(call.flags["command"]),
    signal: call.signal,
  };
  try {
    // Bureau has to be there before anybody is told to use it.
    await daemon.call("list", { signal: call.signal });
    for (let at = first; at <= STEPS.length; at++) {
      await walk(call, { ...place, since: Date.now() }, STEPS[at - 1]!, at);
    }
  } finally {
    daemon.close();
  }
  call.print(
    "That was all. docs/guide has the rest: your own repository, real agents, the web page.",
  );
  return { steps: STEPS.length - first + 1 };
};

async function walk(call: Invocation, place: Place, step: Step, at: number): Promise<void> {
  call.print(`${at} of ${STEPS.length}: ${step.title}`);
  const missing = await step.missing?.(place) ?? null;
  if (missing !== null) {
    call.print(`  left out: ${missing}\n`);
    return;
  }
  for (const line of step.text(place)) call.print(`  ${line}`);
  let problem = "";
  while (true) {
    try {
      const done = await step.done(place);
      if (done !== null) {
        call.print(`  ✓ ${neutraliseLine(done)}\n`);
        return;
      }
    } catch (thrown) {
      if (call.signal.aborted) break;
      const now = neutraliseLine(messageOf(thrown));
      // Said once, not each second.
      if (now !== problem) call.print(`  … ${now}`);
      problem = now;
    }
    if (call.signal.aborted) break;
    await systemClock.sleep(LOOK_AGAIN_MS, call.signal).catch(() => {});
  }
  throw new CliError("interrupted", "Interrupted", {
    hint: `\`${place.bureau} tutorial --from ${at}\` goes on here`,
  });
}
