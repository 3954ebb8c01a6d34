// SPDX-License-Identifier: Apache-2.0

/** On which machine something is to run, and to which key its secrets are sealed. */
import { stateKey } from "../../lib/ref/mod.ts";
import { EventType } from "../../lib/schema/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import type { CommandContext, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import type { OperatorSession } from "../session.ts";
import { findMachine, machineOf, readFleet } from "./fleet.ts";
import { keyProblem } from "./record.ts";

/** The session as if it were made on the machine of `--machine`; without that flag, as it is. */
export function onMachine(call: Invocation, session: OperatorSession): OperatorSession {
  const named = call.flags["machine"];
  if (named === undefined) return session;
  return { ...session, machine: machineOf(session, String(named)) as OperatorSession["machine"] };
}

/**
 * The session as if it were made on the machine that a principal is assigned to; as it is, when no machine has it.
 * Only what an operator believes of the rooms counts, so nobody leads a change elsewhere.
 */
export async function whereAssigned(
  client: MatrixClient,
  session: OperatorSession,
  localpart: string,
): Promise<OperatorSession> {
  const key = stateKey(localpart, session.server_name);
  const room = await client.resolveAlias(`#${session.machine}:${session.server_name}`);
  const own = room === null ? null : await client.getState(room, EventType.assignment, key);
  if (own !== null && own["desired"] !== undefined && own["desired"] !== "absent") return session;
  const machine = (await readFleet(client, session)).find(({ principals }) =>
    principals.some(({ principal }) => principal === `@${key}`)
  );
  if (machine === undefined) return session;
  return { ...session, machine: machine.localpart as OperatorSession["machine"] };
}

/**
 * Where new credentials for this machine go.
 * @returns `age1…`
 * @throws {CliError} `no-machine-key`, `no-such-machine`
 */
export async function sealingKey(
  call: CommandContext,
  client: MatrixClient,
  session: OperatorSession,
): Promise<string> {
  const machine = await findMachine(client, session, session.machine);
  // A key that another member put there would open the bundle to them (W-4).
  const problem = await keyProblem(call, machine);
  if (problem === null) return machine.key!.public_key;
  throw new CliError("no-machine-key", `Cannot seal credentials to "${machine.name}": ${problem}`, {
    hint: machine.here
      ? "run `deno task up`, which publishes it"
      : "`bureau machine show` shows it; a new boot file: `bureau machine provision`",
  });
}

/** One account can't be an agent on two machines. @throws {CliError} `assigned-elsewhere` */
export async function refuseElsewhere(
  client: MatrixClient,
  session: OperatorSession,
  localpart: string,
): Promise<void> {
  for (const machine of await readFleet(client, session)) {
    if (machine.localpart === session.machine) continue;
    const key = stateKey(localpart, session.server_name);
    if (!machine.principals.some(({ principal }) => principal === `@${key}`)) continue;
    throw new CliError(
      "assigned-elsewhere",
      `Cannot assign "${localpart}" to "${session.machine}": it is assigned to "${machine.name}"`,
      {
        status: 409,
        hint: `take it away there first: bureau agent destroy --machine ${machine.name}`,
      },
    );
  }
}
