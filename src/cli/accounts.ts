// SPDX-License-Identifier: Apache-2.0

/** Matrix accounts that an operator makes: registered once, logged in again when they exist. */
import {
  hasErrcode,
  login,
  MessagingError,
  registerWithSharedSecret,
  registerWithToken,
  type Session,
} from "../messaging/mod.ts";
import type { Registration } from "./boot/api.ts";
import { CliError } from "./framework/exit.ts";

export interface AccountRequest {
  readonly homeserverUrl: string;
  readonly registration: Registration;
  /** Localpart. */
  readonly user: string;
  /** Known before registering, so that a crash in between can log in. Secret. */
  readonly password: string;
  readonly admin?: boolean;
}

/** @throws {CliError} `wrong-registration`; `MessagingError` when the homeserver is away */
export async function ensureAccount(request: AccountRequest): Promise<Session> {
  const { homeserverUrl, registration, user, password } = request;
  const account = { user, password, deviceName: "Bureau", admin: request.admin ?? false };
  try {
    return registration.kind === "shared"
      ? await registerWithSharedSecret({ homeserverUrl }, account, registration.value)
      : await registerWithToken({ homeserverUrl }, account, registration.value);
  } catch (thrown) {
    if (hasErrcode(thrown, "M_USER_IN_USE")) return await loginKnown(homeserverUrl, user, password);
    if (thrown instanceof MessagingError && (thrown.status === 403 || thrown.status === 401)) {
      throw new CliError(
        "wrong-registration",
        `Cannot register "${user}" at ${homeserverUrl}: the homeserver refuses the registration ${
          registration.kind === "shared" ? "secret" : "token"
        }`,
        {
          cause: thrown,
          status: 403,
          hint: registration.kind === "shared"
            ? "another Bureau's homeserver may listen there: choose a port with --listen"
            : "give a valid token with --registration-token-file",
        },
      );
    }
    throw thrown;
  }
}

async function loginKnown(homeserverUrl: string, user: string, password: string): Promise<Session> {
  try {
    return await login({ homeserverUrl }, { user, password, deviceName: "Bureau" });
  } catch (thrown) {
    if (!(thrown instanceof MessagingError) || thrown.status !== 403) throw thrown;
    throw new CliError(
      "account-taken",
      `Cannot use the account "${user}" at ${homeserverUrl}: it exists with another password`,
      {
        cause: thrown,
        status: 403,
        hint:
          "its state directory was lost? Use that one, another homeserver, or reset the account there",
      },
    );
  }
}

/**
 * Password of an agent's account, from the operator's signing key: nothing more has to be stored, and
 * only the operator can make it.
 */
export async function agentPassword(privateJwk: JsonWebKey, localpart: string): Promise<string> {
  const encoder = new TextEncoder();
  const key = await crypto.subtle.importKey(
    "raw",
    encoder.encode(`bureau-agent-password:${privateJwk.d ?? ""}`),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(localpart))).toHex();
}
