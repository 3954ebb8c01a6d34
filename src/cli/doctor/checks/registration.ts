// SPDX-License-Identifier: Apache-2.0

/** Who gets an account: we for our agents, and nobody else. */
import * as z from "zod/mini";
import { connect, MessagingError } from "../../../messaging/mod.ts";
import { Registration } from "../../boot/api.ts";
import { readJson } from "../../files.ts";
import { type Finding, pass, skipped } from "../check.ts";
import type { Operator } from "../subject.ts";

/** Whether agents can still be made. Nothing is registered. */
export async function registration(
  stateDir: string,
  { session }: Operator,
  signal: AbortSignal,
): Promise<Finding[]> {
  const name = "registration";
  const stored = await readJson(`${stateDir}/operator/registration.json`);
  const known = z.safeParse(Registration, stored);
  if (!known.success) {
    return [{
      name,
      status: "fail",
      detail: "no registration secret or token is stored: no agent can be made",
      hint: "run `deno task up`, which stores it",
    }];
  }
  const { request } = connect({ homeserverUrl: session.homeserver_url });
  if (known.data.kind === "shared") {
    await request("GET", "/_synapse/admin/v1/register", {
      what: "register by shared secret",
      signal,
    });
    return [pass(name, "accounts are made with the shared secret")];
  }
  const answer = await request<{ valid?: boolean }>(
    "GET",
    "/_matrix/client/v1/register/m.login.registration_token/validity",
    {
      what: "ask whether the registration token is valid",
      query: { token: known.data.value },
      signal,
    },
  ).catch((thrown): { valid?: boolean } => {
    if (thrown instanceof MessagingError && thrown.status === 404) return {};
    throw thrown;
  });
  if (answer.valid === true) return [pass(name, "accounts are made with the registration token")];
  if (answer.valid === undefined) {
    return [{
      name,
      status: "warn",
      detail: "it does not say whether the registration token is valid",
      hint: "the next `agent create` will tell",
    }];
  }
  return [{
    name,
    status: "fail",
    detail: "the registration token is not valid any more: no agent can be made",
    hint: "start again with a valid one: sh tasks/up --registration-token-file FILE",
  }];
}

/** Stages that ask nothing of a stranger that a program could not give. */
const OPEN_STAGES = new Set(["m.login.dummy", "m.login.terms"]);

/**
 * Asks what a stranger would be asked for an account. Nothing is registered: without an answer to one of the
 * stages there is no account.
 */
export async function strangers({ session }: Operator, signal: AbortSignal): Promise<Finding[]> {
  const name = "strangers";
  const response = await fetch(
    `${session.homeserver_url.replace(/\/$/, "")}/_matrix/client/v3/register`,
    {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ inhibit_login: true }),
      signal,
    },
  );
  const body: unknown = await response.json().catch(() => null);
  const flows = z.safeParse(Flows, body);
  if (response.status === 403 || response.status === 404) {
    return [pass(name, "the homeserver gives nobody an account")];
  }
  if (response.status === 429) {
    return [skipped(name, "the homeserver limits how often that may be asked")];
  }
  if (response.status !== 401 || !flows.success) {
    return [
      skipped(name, `the homeserver says nothing of how accounts are made (${response.status})`),
    ];
  }
  const open = flows.data.flows.some(({ stages }) =>
    stages.every((stage) => OPEN_STAGES.has(stage))
  );
  if (!open) return [pass(name, "nobody gets an account without a token or an answer to a person")];
  return [{
    name,
    status: "warn",
    detail: "whoever reaches the homeserver can make an account there",
    reason: "a stranger can take the alias of a room that Bureau has yet to make, and write to you",
    hint: "close registration, or ask for a token: docs/guide/homeserver.md",
  }];
}

const Flows = z.object({ flows: z.array(z.object({ stages: z.array(z.string()) })) });

/** Rooms are by invitation whichever it is: what federates is told, and no fault. */
export async function federation({ session }: Operator, signal: AbortSignal): Promise<Finding[]> {
  const name = "federation";
  const response = await fetch(
    `${session.homeserver_url.replace(/\/$/, "")}/_matrix/federation/v1/version`,
    { signal },
  );
  await response.body?.cancel();
  return [
    pass(
      name,
      response.ok
        ? "other servers can be federated with from where clients connect; rooms are by invitation"
        : "other servers can't reach it where clients connect",
    ),
  ];
}
