// SPDX-License-Identifier: Apache-2.0

/** How an account comes to be: login, registration by shared secret, registration by token. */
import { MessagingError } from "./errors.ts";
import { createRequester, type RequesterOptions } from "./request.ts";
import type { Session } from "./types.ts";

const V3 = "/_matrix/client/v3";

export interface Account {
  /** Localpart. */
  readonly user: string;
  readonly password: string;
  /** Shown in the account's list of devices. */
  readonly deviceName?: string;
}

/** @throws {MessagingError} `forbidden` when user or password is wrong */
export async function login(options: RequesterOptions, account: Account): Promise<Session> {
  const request = createRequester(options);
  return sessionOf(
    await request<Session>("POST", `${V3}/login`, {
      what: `log in as "${account.user}"`,
      body: {
        type: "m.login.password",
        identifier: { type: "m.id.user", user: account.user },
        password: account.password,
        initial_device_display_name: account.deviceName ?? "Bureau",
      },
    }),
  );
}

/**
 * Registers through Synapse's admin endpoint with its `registration_shared_secret`: no open
 * registration is needed.
 * @throws {MessagingError} `user-in-use`, `forbidden` for a wrong secret
 */
export async function registerWithSharedSecret(
  options: RequesterOptions,
  account: Account & { readonly admin?: boolean },
  sharedSecret: string,
): Promise<Session> {
  const request = createRequester(options);
  const where = "/_synapse/admin/v1/register";
  const what = `register "${account.user}"`;
  const { nonce } = await request<{ nonce: string }>("GET", where, { what });
  const admin = account.admin ?? false;
  const mac = await hmacSha1(
    sharedSecret,
    [nonce, account.user, account.password, admin ? "admin" : "notadmin"].join("\0"),
  );
  return sessionOf(
    await request<Session>("POST", where, {
      what,
      body: { nonce, username: account.user, password: account.password, admin, mac },
    }),
  );
}

/**
 * Gives the account another password and ends its other sessions.
 * @param options with the access token of a session of that account
 * @throws {MessagingError} `forbidden` when `account.password` is wrong
 */
export async function changePassword(
  options: RequesterOptions,
  account: Account,
  fresh: string,
): Promise<void> {
  const what = `change the password of "${account.user}"`;
  const { request, challenge } = interactive(options);
  const change = (session?: string) =>
    request("POST", `${V3}/account/password`, {
      what,
      body: {
        new_password: fresh,
        logout_devices: true,
        auth: {
          type: "m.login.password",
          identifier: { type: "m.id.user", user: account.user },
          password: account.password,
          ...(session === undefined ? {} : { session }),
        },
      },
    });
  try {
    await change();
  } catch (thrown) {
    const { session, completed } = challenge();
    // Some give the session only now, in which the same answer counts.
    const again = thrown instanceof MessagingError && thrown.status === 401 &&
      session !== undefined && completed === undefined && thrown.errcode === undefined;
    if (!again) throw thrown;
    await change(session);
  }
}

/**
 * Registers with a registration token (`m.login.registration_token`), adding the dummy stage where the
 * homeserver asks for it.
 * @throws {MessagingError} `user-in-use`, `forbidden` for a wrong token
 */
export async function registerWithToken(
  options: RequesterOptions,
  account: Account,
  token: string,
): Promise<Session> {
  const what = `register "${account.user}"`;
  const { request, challenge: latest } = interactive(options);
  const body = {
    username: account.user,
    password: account.password,
    initial_device_display_name: account.deviceName ?? "Bureau",
  };
  let auth: Record<string, string> | undefined;
  for (let step = 0; step < 4; step++) {
    try {
      return sessionOf(
        await request<Session>("POST", `${V3}/register`, {
          what,
          body: auth === undefined ? body : { ...body, auth },
        }),
      );
    } catch (thrown) {
      const challenge = latest();
      const waiting = thrown instanceof MessagingError && thrown.status === 401 &&
        challenge.session !== undefined;
      const done = challenge.completed ?? [];
      if (!waiting || (auth !== undefined && thrown.errcode !== undefined)) throw thrown;
      const next = challenge.flows?.map((flow) => flow.stages ?? [])
        .find((stages) => stages.every((stage) => stage in STAGES))
        ?.find((stage) => !done.includes(stage));
      if (next === undefined) {
        throw new MessagingError(
          "registration-closed",
          `Cannot ${what}: the homeserver takes no registration token`,
          { status: 403, hint: "enable registration tokens, or give the shared secret" },
        );
      }
      auth = { ...STAGES[next]!(token), type: next, session: challenge.session! };
    }
  }
  throw new MessagingError("registration-closed", `Cannot ${what}: no step satisfied it`, {
    status: 403,
  });
}

interface Challenge {
  readonly session?: string;
  readonly flows?: readonly { readonly stages?: readonly string[] }[];
  readonly completed?: readonly string[];
}

/** The 401 of user-interactive authentication is not an error but its first step: its body is kept. */
function interactive(options: RequesterOptions) {
  const fetchFn = options.fetch ?? fetch;
  let latest: Challenge = {};
  const capturing: typeof fetch = async (input, init) => {
    const response = await fetchFn(input, init);
    if (response.status === 401) latest = await response.clone().json().catch(() => ({}));
    return response;
  };
  const request = createRequester({ ...options, fetch: capturing });
  return { request, challenge: () => latest };
}

const STAGES: Readonly<Record<string, (token: string) => Record<string, string>>> = {
  "m.login.registration_token": (token) => ({ token }),
  "m.login.dummy": () => ({}),
};

async function hmacSha1(secret: string, text: string): Promise<string> {
  const encoder = new TextEncoder();
  const key = await crypto.subtle.importKey(
    "raw",
    encoder.encode(secret),
    { name: "HMAC", hash: "SHA-1" },
    false,
    ["sign"],
  );
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text))).toHex();
}

function sessionOf(answer: Session): Session {
  return {
    user_id: answer.user_id,
    access_token: answer.access_token,
    ...(answer.device_id === undefined ? {} : { device_id: answer.device_id }),
  };
}
