// SPDX-License-Identifier: Apache-2.0

/** How a test gets accounts: with a registration token as everybody does, or with Synapse's shared secret. */
import { createHmac } from "node:crypto";
import { type Reply, request } from "./http.ts";

export interface Account {
  readonly id: string;
  readonly localpart: string;
  readonly password: string;
  readonly token: string;
  readonly device: string;
}

/** @throws Error with the homeserver's words */
function refused(what: string, { status, body }: Reply): Error {
  return new Error(`Cannot ${what}: ${status} ${JSON.stringify(body)}`);
}

/** Registers through user-interactive authentication, with whatever stages the homeserver asks for. */
export async function registerWithToken(
  homeserver: string,
  localpart: string,
  registrationToken: string,
): Promise<Account> {
  const password = `password of ${localpart}`;
  const account = { username: localpart, password, initial_device_display_name: "test" };
  const post = (auth?: unknown) =>
    request(homeserver, "POST", "register", {
      body: auth === undefined ? account : { ...account, auth },
    });
  let reply = await post();
  while (reply.status === 401 && Array.isArray(reply.body?.flows)) {
    const done: string[] = reply.body.completed ?? [];
    const stages: string[] = reply.body.flows[0]?.stages ?? [];
    const stage = stages.find((name) => !done.includes(name));
    const { session } = reply.body;
    const before = done.length;
    if (stage === "m.login.registration_token") {
      reply = await post({ type: stage, session, token: registrationToken });
    } else if (stage === "m.login.dummy" || stage === "m.login.terms") {
      reply = await post({ type: stage, session });
    } else break;
    if (reply.status === 401 && (reply.body?.completed ?? []).length <= before) break;
  }
  if (reply.status !== 200) throw refused(`register "${localpart}"`, reply);
  return {
    id: reply.body.user_id,
    localpart,
    password,
    token: reply.body.access_token,
    device: reply.body.device_id,
  };
}

/** Synapse's registration with a shared secret, which the embedded homeserver has too. */
export async function registerWithSecret(
  homeserver: string,
  localpart: string,
  secret: string,
  admin: boolean,
): Promise<Account> {
  const path = "/_synapse/admin/v1/register";
  const asked = await request(homeserver, "GET", path);
  if (asked.status !== 200) throw refused("register with the shared secret", asked);
  const password = `password of ${localpart}`;
  const mac = createHmac("sha1", secret)
    .update([asked.body.nonce, localpart, password, admin ? "admin" : "notadmin"].join("\0"))
    .digest("hex");
  const reply = await request(homeserver, "POST", path, {
    body: { nonce: asked.body.nonce, username: localpart, password, admin, mac },
  });
  if (reply.status !== 200) throw refused(`register "${localpart}"`, reply);
  const { user_id: id, access_token: token, device_id: device } = reply.body;
  return { id, localpart, password, token, device };
}

/** A registration token that may be used without end. */
export async function makeRegistrationToken(
  homeserver: string,
  adminToken: string,
): Promise<string> {
  const reply = await request(
    homeserver,
    "POST",
    "/_synapse/admin/v1/registration_tokens/new",
    { token: adminToken, body: {} },
  );
  if (reply.status !== 200) throw refused("make a registration token", reply);
  return reply.body.token;
}
