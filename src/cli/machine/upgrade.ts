// SPDX-License-Identifier: Apache-2.0

/** `machine upgrade` and `machine releases`: what this machine's processes run from, and what they shall. */
import { type Client, createClient } from "../../lib/http/mod.ts";
import { systemClock } from "../../lib/clock.ts";
import { neutralise } from "../../lib/terminal/mod.ts";
import { type ReleaseStatus, supervisorApi } from "../../supervisor/api.ts";
import { ago } from "../agent/list.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { isUnreachable } from "../session.ts";
import type * as results from "./results.ts";

const LOOK_MS = 250;
/** How long nobody may answer: one supervisor leaves, another comes, or the first comes back. */
const AWAY_MS = 180_000;

type Supervisor = Client<typeof supervisorApi>;

async function withSupervisor<T>(
  call: Invocation,
  use: (client: Supervisor) => Promise<T>,
): Promise<T> {
  const client = createClient(supervisorApi, { socket: `${call.runDir}/up/up.sock` });
  try {
    return await use(client);
  } catch (thrown) {
    if (!isUnreachable(thrown)) throw thrown;
    throw new CliError("not-running", `Bureau is not running (run directory "${call.runDir}")`, {
      hint: "start it with `deno task up`: it starts this checkout's build",
    });
  } finally {
    client.close();
  }
}

const short = (digest: string | null) =>
  digest === null ? "the build that `up` brought" : digest.slice(0, 12);

export const upgrade: CommandHandler<typeof results.upgrade> = async (call) => {
  if (call.args[0] === undefined) return await upgradeHere(call);
  return await (await import("./upgrade_asked.ts")).askForUpgrade(call, {
    settle: secondsOf(call, "settle", "10"),
    deadline: secondsOf(call, "deadline", "60"),
  });
};

function secondsOf(call: Invocation, name: string, usual: string): number {
  const text = String(call.flags[name] ?? usual);
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new CliError("usage", `Cannot take "${text}" for --${name}: a whole number of seconds`);
}

const upgradeHere = (call: Invocation) =>
  withSupervisor(call, async (client) => {
    const release = call.flags["release"];
    const begun = await client.call("upgrade", {
      body: {
        release: typeof release === "string" ? release : null,
        again: call.flags["again"] === true,
        settle_s: secondsOf(call, "settle", "10"),
        deadline_s: secondsOf(call, "deadline", "60"),
      },
      signal: call.signal,
    });
    if (!begun.begun) {
      call.print(`${begun.to} runs already`);
      return { ...begun, ok: true };
    }
    call.print(`upgrading from ${short(begun.from)} to ${begun.to}`);
    const { ok, message } = await follow(call, client, begun.to);
    if (!ok) {
      throw new CliError(
        "upgrade-failed",
        `Cannot upgrade to ${begun.to}: ${neutralise(message)}. What ran before runs again`,
        { hint: "its processes' logs say more; this release is not tried again without --again" },
      );
    }
    call.print(`done: ${message}; no agent was restarted`);
    return { ...begun, ok };
  });

/** Until the ledger has an outcome. */
async function follow(
  call: Invocation,
  client: Supervisor,
  to: string,
): Promise<{ ok: boolean; message: string }> {
  using progress = call.progress?.("processes are replaced");
  let step = "";
  let lastHeard = systemClock.now();
  while (true) {
    const release = await statusOf(client, call.signal);
    if (release !== null) {
      lastHeard = systemClock.now();
      if (release.updating !== null && release.updating.step !== step) {
        step = release.updating.step;
        call.print(`  ${step}`);
        progress?.say(step);
      }
      if (release.updating === null && release.outcome?.to === to) return release.outcome;
    } else if (systemClock.now() - lastHeard > AWAY_MS) {
      throw new CliError("upgrade-lost", "Cannot say what came of it: no supervisor answers", {
        hint: "`bureau status`; `sh tasks/up` starts what ran before",
      });
    }
    await systemClock.sleep(LOOK_MS, call.signal);
  }
}

async function statusOf(client: Supervisor, signal: AbortSignal): Promise<ReleaseStatus | null> {
  try {
    return (await client.call("status", { signal })).release ?? null;
  } catch (thrown) {
    if (isUnreachable(thrown)) return null;
    throw thrown;
  }
}

export const releases: CommandHandler<typeof results.releases> = (call) =>
  withSupervisor(call, async (client) => {
    const { release } = await client.call("status", { signal: call.signal });
    if (release === undefined) {
      throw new CliError("not-ready", "Cannot tell yet: Bureau is starting");
    }
    const { current, previous, updating, bad, outcome, note } = release;
    call.print(`runs         ${current ?? "the build that `up` brought"}`);
    if (previous !== null) call.print(`before       ${previous}`);
    if (updating !== null) call.print(`upgrading    to ${updating.to}: ${updating.step}`);
    if (outcome !== null) {
      call.print(
        `last         ${outcome.to}, ${ago(outcome.at)} ago: ${neutralise(outcome.message)}`,
      );
    }
    for (const { digest, why } of bad) call.print(`failed here  ${digest}: ${neutralise(why)}`);
    if (note !== null) call.print(`note         ${neutralise(note)}`);
    return release;
  });
