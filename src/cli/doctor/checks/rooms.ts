// SPDX-License-Identifier: Apache-2.0

/** What the rooms say, and whether the keys and credentials in them are of any use to the machines that are there. */
import { fact, type Facts } from "../../../lib/hwinfo/mod.ts";
import { type Credentials, EventType, parseEvent, SchemaError } from "../../../lib/schema/mod.ts";
import { listed } from "../../credential/list.ts";
import { examine } from "../../matrix/check/check.ts";
import { type Machine, readFleet } from "../../machine/fleet.ts";
import { keyProblem } from "../../machine/record.ts";
import { shortName } from "../../agent/list.ts";
import { type Check, type Finding, pass, skipped } from "../check.ts";
import type { Operator, Subject } from "../subject.ts";

/** A credential that ends is warned of so long before. */
const SOON_MS = 7 * 86_400_000;

/** @param facts null: this machine's files were not looked at */
export function roomChecks(subject: Subject, facts: Facts | null): Check[] {
  let fleet: Promise<Machine[]> | undefined;
  const machinesOf = ({ client, session }: Operator) => fleet ??= readFleet(client, session);
  return [
    {
      group: "rooms",
      name: "rooms",
      needs: ["session"],
      guide: "the-rooms-contradict-each-other",
      run: async () => await rooms(subject, await subject.operator()),
    },
    {
      group: "rooms",
      name: "machines",
      needs: ["session"],
      guide: "nothing-can-be-sealed-to-a-machine",
      run: async () => await machines(subject, await machinesOf(await subject.operator())),
    },
    ...(facts === null ? [] : [{
      group: "rooms" as const,
      name: "machine-key",
      needs: ["session"],
      guide: "nothing-can-be-sealed-to-a-machine",
      run: async () => machineKey(facts, await machinesOf(await subject.operator())),
    }]),
    {
      group: "rooms",
      name: "credentials",
      needs: ["session"],
      guide: "a-credential-is-of-no-use",
      run: async () => {
        const operator = await subject.operator();
        return await credentials(operator, await machinesOf(operator));
      },
    },
  ];
}

/** What `matrix check` finds about rights and rooms. */
async function rooms({ call }: Subject, { session }: Operator): Promise<Finding[]> {
  const { findings, rooms } = await examine(call, session);
  if (findings.length === 0) {
    return [pass("rooms", `${rooms} rooms, nothing contradicts itself`)];
  }
  return findings.map(({ severity, code, room, subject, message, hint, mend }): Finding => ({
    name: `rooms.${code}`,
    status: severity === "error" ? "fail" : "warn",
    detail: `${subject === room ? room : `${room} ${subject}`}: ${message}`,
    ...(hint === null || mend !== undefined ? {} : { hint }),
    ...(mend === undefined
      ? {}
      : { repair: { by: "operator" as const, what: mendText(code, room), apply: mend } }),
  }));
}

const WHAT: Readonly<Record<string, string>> = {
  "power-levels": "write the power levels that it must have",
  "open-room": "let only those join who are invited",
  "not-in-space": "put it into the namespace's space",
  "dead-service": "clear the service that is not there",
  "history": "let members read what was before them, and nobody else",
  "guests": "forbid guests",
  "no-alias": "give it back its name",
  "not-invited": "invite the machine",
};

const mendText = (code: string, room: string) => `${WHAT[code] ?? "mend it"} (${room})`;

async function machines({ call }: Subject, fleet: readonly Machine[]): Promise<Finding[]> {
  const all: Finding[] = [];
  for (const machine of fleet) {
    const waits = machine.membership === "invite" || machine.revoked !== null;
    const problem = waits ? null : await keyProblem(call, machine);
    if (problem === null) continue;
    all.push({
      name: "machines",
      status: "fail",
      detail: `nothing can be sealed to "${machine.name}": ${problem}`,
      hint: `bureau machine show ${machine.name}`,
    });
  }
  return all.length > 0 ? all : [pass("machines", `${fleet.length} of the fleet are known`)];
}

/** What was sealed to another key than the one it holds, this machine can't open. */
function machineKey(facts: Facts, fleet: readonly Machine[]): Finding[] {
  const name = "machine-key";
  const held = /age1[0-9a-z]+/.exec(fact(facts, "machine-key") ?? "")?.[0];
  if (held === undefined) return [skipped(name, "you may not read which key this machine holds")];
  const published = fleet.find(({ here }) => here)?.key?.public_key;
  // `machines` says so.
  if (published === undefined) return [skipped(name, "this machine has published no key")];
  if (published === held) return [pass(name, "this machine holds the key that it has published")];
  return [{
    name,
    status: "fail",
    detail: "this machine holds another key than the one it has published",
    reason: "credentials are sealed to one that nobody here can open them with",
    hint: "start Bureau, which publishes the key it holds; then bureau credential reseal AGENT",
  }];
}

async function credentials(
  { client, session }: Operator,
  fleet: readonly Machine[],
): Promise<Finding[]> {
  const here = fleet.find((machine) => machine.here);
  if (here?.room === undefined || here.room === null) {
    return [skipped("credentials", "this machine has no room of its own")];
  }
  const now = Date.now();
  const found: Finding[] = [];
  let count = 0;
  for (const { type, content, sender } of await client.roomState(here.room)) {
    // Of whoever else `matrix check` says that they count for nothing.
    if (type !== EventType.credentials || sender !== session.user_id) continue;
    const event = parsed(content);
    if (event === null) continue;
    count += event.keys.length;
    found.push(...sealedElsewhere(event, here), ...ending(event, now));
  }
  return found.length > 0
    ? found
    : [pass("credentials", `${count}, each can be opened here and goes on being good`)];
}

/** `matrix check` tells of those that have no shape. */
function parsed(content: Record<string, unknown>): Credentials | null {
  try {
    return parseEvent(EventType.credentials, content);
  } catch (thrown) {
    if (thrown instanceof SchemaError) return null;
    throw thrown;
  }
}

function sealedElsewhere(event: Credentials, here: Machine): Finding[] {
  const key = here.key?.public_key;
  if (key === undefined) return [];
  const parts = Object.values(event.parts ?? {}).filter((part) => part.ciphertext !== "");
  // Whom an early release sealed to was not written down.
  const known = [event, ...parts].map(({ recipients }) => recipients).filter((one) =>
    one !== undefined
  );
  if (known.every((recipients) => recipients.includes(key))) return [];
  const agent = shortName(event.principal.slice(1).split(":")[0]!);
  return [{
    name: "credentials.sealed",
    status: "fail",
    detail: `what is sealed for ${agent} is sealed to another key than this machine's present one`,
    reason: "its proxy can't open it: it starts without",
    hint: `bureau credential reseal ${agent}`,
  }];
}

function ending(event: Credentials, now: number): Finding[] {
  return listed(event).flatMap(({ principal, name, expires_at }): Finding[] => {
    if (expires_at === null || Date.parse(expires_at) > now + SOON_MS) return [];
    const agent = shortName(principal);
    const over = Date.parse(expires_at) <= now;
    return [{
      name: "credentials.end",
      status: over ? "fail" : "warn",
      detail: `${name} of ${agent} ${over ? "ended" : "ends"} at ${expires_at}`,
      hint: `bureau credential rotate ${agent} ${name} FILE`,
    }];
  });
}
