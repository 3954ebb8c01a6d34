// SPDX-License-Identifier: Apache-2.0

/** `credential remove`: takes one credential away from an agent, by a signature, while the agent runs. */
import type { Destroyer, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { whereAssigned } from "../machine/target.ts";
import {
  loadSession,
  loadSigningKey,
  matrixClient,
  type OperatorSession,
  principalOf,
} from "../session.ts";
import { CredentialStore } from "./store.ts";
import { lookBefore, tellTaken } from "./taken.ts";
import type * as results from "./results.ts";

export const remove: Destroyer<typeof results.remove> = async (call) => {
  const home = await loadSession(call);
  const localpart = principalOf(home, call.args[0]!);
  const session = await whereAssigned(matrixClient(home), home, localpart);
  const name = call.args[1]!;
  const store = new CredentialStore(matrixClient(session), session, await loadSigningKey(call));
  const present = await store.read(localpart);
  if (!present.keys.includes(name)) {
    throw new CliError("no-such-credential", `Cannot remove "${name}": "${localpart}" has none`, {
      status: 404,
      hint: `it has ${present.keys.join(", ") || "no credentials"}`,
    });
  }
  return {
    what: `take ${name} away from ${localpart}`,
    lines: [
      "its proxy refuses at once what needs it; `bureau credential provision` gives it anew",
    ],
    run: () => takeAway(call, { session, store, localpart, present, name }),
  };
};

interface Taken {
  readonly session: OperatorSession;
  readonly store: CredentialStore;
  readonly localpart: string;
  readonly present: Awaited<ReturnType<CredentialStore["read"]>>;
  readonly name: string;
}

async function takeAway(call: Invocation, what: Taken) {
  const { session, store, localpart, present, name } = what;
  const part = present.parts?.[name];
  const removed = await store.sign({
    version: 1,
    principal: present.principal,
    name,
    kind: part?.kind ?? "static",
    // Where it went, so that its proxy can refuse it there and serve everything else.
    allowed_hosts: part?.allowed_hosts ?? [],
    encrypted_for: [],
    ciphertext: "",
    removed: true,
  }, part);
  const watched = await lookBefore(call, session, localpart);
  const { encrypted_for, recipients, ciphertext } = present;
  const written = await store.write(localpart, {
    encrypted_for,
    ...(recipients === undefined ? {} : { recipients }),
    keys: present.keys.filter((key) => key !== name),
    ciphertext,
    parts: { ...present.parts, [name]: removed },
  });
  call.print(`${localpart} has no ${name} any more; change it where it was issued, too`);
  const taken = await tellTaken(call, session, watched, written, {
    live: "its proxy refuses what needs it from now on; the agent was not restarted",
    restarted: "the agent was restarted without it",
    later: "the agent does not start while its template needs it",
    refused: "the agent can't run without it",
  });
  return { principal: localpart, credential: name, taken };
}
