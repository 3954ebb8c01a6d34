// SPDX-License-Identifier: Apache-2.0

/** `machine upgrade MACHINE`: asks a machine by a signed event in its config room, and shows what it tells there. */
import { systemClock } from "../../lib/clock.ts";
import { stateKey } from "../../lib/ref/mod.ts";
import { type BureauVersion, EventType, type NoticeOf, readNotice } from "../../lib/schema/mod.ts";
import { signContent } from "../../lib/signature/mod.ts";
import { neutralise } from "../../lib/terminal/mod.ts";
import { BureauError } from "../../lib/errors.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { loadSession, loadSigningKey, matrixClient } from "../session.ts";
import { findMachine } from "./fleet.ts";

const LOOK_MS = 500;
/** How long the machine may say nothing at all. */
const SILENCE_MS = 15 * 60_000;

type Told = NoticeOf<"bureau_version_update">;

export async function askForUpgrade(
  call: Invocation,
  { settle, deadline }: { readonly settle: number; readonly deadline: number },
) {
  const release = call.flags["release"];
  if (typeof release !== "string" || !/^[0-9a-f]{64}$/.test(release)) {
    throw new CliError("usage", "Cannot ask for an upgrade: it needs the digest of a release", {
      hint: "--release DIGEST: one that lies in `releases/` of that machine's state directory",
    });
  }
  const session = await loadSession(call);
  const key = await loadSigningKey(call);
  const client = matrixClient(session);
  const machine = await findMachine(client, session, call.args[0]!);
  if (machine.room === null) {
    throw new CliError("no-such-room", `Cannot find the config room of "${machine.name}"`, {
      status: 404,
      hint: "`bureau matrix check` says what became of it",
    });
  }
  const { room, user_id: user } = machine;
  const present = await client.getState(room, EventType.bureauVersion, stateKey(user));
  // Never older than what the machine has seen, whatever this clock says.
  const issuedAt = Math.max(systemClock.now(), Number(present?.["issued_at"] ?? 0) + 1);
  const wanted: Omit<BureauVersion, "signature"> = {
    version: 1,
    machine: user,
    release,
    ...(call.flags["again"] === true ? { again: true } : {}),
    settle_seconds: settle,
    deadline_seconds: deadline,
    issued_by: session.user_id,
    issued_at: issuedAt,
  };
  const signed = await signContent(wanted, key);
  await client.putState(room, EventType.bureauVersion, stateKey(user), { ...signed });
  call.print(`asked ${machine.name} for ${release}`);
  const last = await follow(call, client, { room, user, issuedAt });
  if (last.status !== "reconciled") {
    const what = last.status === "refused" ? "it was refused" : "what ran before runs again";
    throw new CliError(
      "upgrade-failed",
      `Cannot upgrade ${machine.name} to ${release}: ${neutralise(last.error ?? "")} (${what})`,
      {
        hint: "its config room says when; a release that failed is not tried again without --again",
      },
    );
  }
  call.print(`done: ${machine.name} runs ${release}; no agent was restarted`);
  return { machine: user, to: release, ok: true };
}

/** Until the machine says what came of it. */
async function follow(
  call: Invocation,
  client: MatrixClient,
  { room, user, issuedAt }: {
    readonly room: string;
    readonly user: string;
    readonly issuedAt: number;
  },
): Promise<Told> {
  using _ = call.progress?.("the machine replaces its processes");
  let shown = 0;
  let lastHeard = systemClock.now();
  while (systemClock.now() - lastHeard < SILENCE_MS) {
    const told = await toldOf(client, room, user, issuedAt);
    if (told.length > shown) lastHeard = systemClock.now();
    for (const { status, step } of told.slice(shown)) {
      if (status === "begun") call.print("  it begins");
      if (status === "replacing") call.print(`  ${neutralise(step ?? "")}`);
    }
    shown = Math.max(shown, told.length);
    const last = told.find(({ status }) => status !== "begun" && status !== "replacing");
    if (last !== undefined) return last;
    await systemClock.sleep(LOOK_MS, call.signal);
  }
  throw new CliError("upgrade-lost", "Cannot say what came of it: the machine says nothing", {
    hint:
      "`bureau machine show` says when it was last heard; the request stands, and is carried out when it is back",
  });
}

/** Oldest first; of the machine alone. A homeserver that is being replaced is asked again. */
async function toldOf(
  client: MatrixClient,
  room: string,
  user: string,
  issuedAt: number,
): Promise<Told[]> {
  try {
    const { chunk } = await client.messages(room, { limit: 100 });
    return chunk.toReversed()
      .filter(({ sender }) => sender === user)
      .map(({ content }) => readNotice("bureau_version_update", content))
      .filter((told) => told?.issued_at === issuedAt)
      .map((told) => told!);
  } catch (thrown) {
    if (thrown instanceof BureauError) return [];
    throw thrown;
  }
}
