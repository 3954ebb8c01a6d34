// SPDX-License-Identifier: Apache-2.0

/** `matrix check`: whether what the rooms say fits together. */
import * as z from "zod/mini";
import { LauncherPolicy } from "../../../launcher/api.ts";
import { messageOf } from "../../../lib/errors.ts";
import { parseRoomAlias } from "../../../lib/ref/mod.ts";
import { neutraliseLine } from "../../../lib/terminal/mod.ts";
import type { StateEvent } from "../../../messaging/mod.ts";
import { readJson } from "../../files.ts";
import type { CommandHandler, Invocation } from "../../framework/command.ts";
import { Ended, Exit } from "../../framework/exit.ts";
import { loadSession, loadSigningKey, matrixClient, type OperatorSession } from "../../session.ts";
import { TemplateStore } from "../../template/store.ts";
import type { CheckContext, Finding, Seen } from "./finding.ts";
import { checkMachines } from "./machines.ts";
import { checkOthers } from "./others.ts";
import { checkPrincipals } from "./principals.ts";
import { checkRooms, wantedNames } from "./rooms.ts";
import { checkNames } from "./settings.ts";
import type * as results from "../results.ts";

export const check: CommandHandler<typeof results.check> = async (call) => {
  const session = await loadSession(call);
  const { findings, rooms } = await examine(call, session);
  const mended = new Map<Finding, string | null>();
  if (call.flags["fix"] === true) {
    for (const finding of findings) {
      if (finding.mend === undefined) continue;
      mended.set(finding, await finding.mend().then(() => null, messageOf));
    }
  }
  for (const finding of findings) say(call, finding, mended);
  const left = findings.filter((finding) => mended.get(finding) !== null);
  call.print(
    findings.length === 0
      ? `${rooms} rooms: nothing contradicts itself`
      : `${rooms} rooms: ${findings.length} findings, ${findings.length - left.length} mended`,
  );
  const result = {
    rooms,
    findings: findings.map((finding) => {
      const { mend, ...rest } = finding;
      return { ...rest, fixable: mend !== undefined, fixed: mended.get(finding) === null };
    }),
  };
  return left.length === 0 ? result : new Ended(result, Exit.failed);
};

function say(call: Invocation, finding: Finding, mended: ReadonlyMap<Finding, string | null>) {
  const { severity, code, room, subject, message, hint } = finding;
  const failed = mended.get(finding);
  const where = subject === room ? room : `${room} ${subject}`;
  const state = failed === null ? "mended" : severity;
  call.print(neutraliseLine(`${state} ${code}: ${where}: ${message}`));
  if (typeof failed === "string") call.print(neutraliseLine(`  could not be mended: ${failed}`));
  else if (failed === undefined && hint !== null) call.print(neutraliseLine(`  ${hint}`));
}

/** Everything that contradicts itself in the operator's rooms. */
export async function examine(call: Invocation, session: OperatorSession) {
  const store = new TemplateStore(matrixClient(session), session);
  const rooms: Seen[] = [];
  for (const [id, state] of await store.rooms()) {
    const alias = aliasOf(session, state);
    // An alias counts where it leads: whoever makes a room may write any into its state.
    const leads = alias === null ? null : await store.client.resolveAlias(alias.full);
    const own = leads === id ? alias : null;
    rooms.push({ id, alias: own?.localpart ?? null, label: own?.full ?? id, state });
  }
  const seen: CheckContext = {
    session,
    store,
    operatorKeys: await operatorKeys(call),
    rooms,
  };
  const names = await checkNames(seen, wantedNames(seen));
  const context = { ...seen, rooms: names.rooms };
  const findings = [
    ...names.findings,
    ...checkRooms(context),
    ...checkMachines(context),
    ...checkOthers(context),
    ...await checkPrincipals(context),
  ];
  return { findings, rooms: rooms.length };
}

function aliasOf(
  session: OperatorSession,
  state: readonly StateEvent[],
): { localpart: string; full: string } | null {
  const event = state.find(({ type }) => type === "m.room.canonical_alias");
  try {
    const { alias, localpart, server } = parseRoomAlias(String(event?.content["alias"]));
    return server === session.server_name ? { localpart, full: alias } : null;
  } catch {
    return null;
  }
}

/** The launcher's own list; without it the operator's key alone. */
async function operatorKeys(call: Invocation): Promise<readonly string[]> {
  const policy = z.safeParse(
    LauncherPolicy,
    await readJson(`${call.stateDir}/operator/policy.json`),
  );
  return policy.success ? policy.data.operator_keys : [(await loadSigningKey(call)).publicKey];
}
