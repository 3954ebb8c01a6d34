// SPDX-License-Identifier: Apache-2.0

/** Register, log in and out, who am I. */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import {
  checkPassword,
  checkUsername,
  createSession,
  createUser,
  hashPassword,
  removeAllDevices,
  removeDevice,
} from "../accounts.ts";
import { type Context, randomText } from "../context.ts";
import { forbidden, invalidParam, MatrixError, missingParam } from "../errors.ts";
import type { Body, Call, Routes } from "../http.ts";
import { isObject, optionalObject, optionalString, requiredString } from "../params.ts";

/** A nonce of the shared-secret registration lives this long. */
const NONCE_MS = 60_000;
const MAX_NONCES = 1_000;

export function accountRoutes(routes: Routes): void {
  const nonces = new Map<string, number>();
  const versions = ["v1"];
  routes
    .raw("GET", "/_synapse/admin/v1/register", {
      open: true,
      handler: ({ ctx }) => {
        const nonce = randomText(32);
        if (nonces.size >= MAX_NONCES) nonces.delete(nonces.keys().next().value!);
        nonces.set(nonce, ctx.clock.now() + NONCE_MS);
        return { nonce };
      },
    })
    .raw("POST", "/_synapse/admin/v1/register", {
      open: true,
      handler: (call) => sharedSecret(call, nonces),
    })
    .open("GET", "/login", () => ({ flows: [{ type: "m.login.password" }] }))
    .open("POST", "/login", login)
    .on(
      "POST",
      "/logout",
      ({ ctx, session }) => ctx.db.write(() => removeDevice(ctx, session.userId, session.deviceId)),
    )
    .on(
      "POST",
      "/logout/all",
      ({ ctx, session }) => ctx.db.write(() => removeAllDevices(ctx, session.userId)),
    )
    .on("GET", "/account/whoami", ({ session }) => ({
      user_id: session.userId,
      device_id: session.deviceId,
      is_guest: false,
    }))
    .open("POST", "/register", register)
    .open("GET", "/register/available", ({ ctx, query }) => {
      checkUsername(ctx, query.get("username") ?? "");
      return { available: true };
    })
    .open("GET", "/register/m.login.registration_token/validity", ({ ctx, query }) => ({
      valid: isValidToken(ctx, query.get("token") ?? ""),
    }), versions);
}

async function sharedSecret(call: Call, nonces: Map<string, number>): Promise<unknown> {
  const { ctx } = call;
  ctx.limits.take("register", call.address);
  const body = await call.body();
  const nonce = requiredString(body, "nonce");
  const username = requiredString(body, "username").toLowerCase();
  const password = requiredString(body, "password");
  const admin = body["admin"] === true;
  const userType = optionalString(body, "user_type");
  const expires = nonces.get(nonce);
  nonces.delete(nonce);
  if (expires === undefined || expires < ctx.clock.now()) {
    throw invalidParam("Cannot register: the nonce is unknown or too old");
  }
  const parts = [nonce, requiredString(body, "username"), password, admin ? "admin" : "notadmin"];
  if (userType !== undefined) parts.push(userType);
  const expected = createHmac("sha1", ctx.config.registration_shared_secret)
    .update(parts.join("\0")).digest();
  const given = Buffer.from(requiredString(body, "mac"), "hex");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    throw forbidden("Cannot register: the HMAC is wrong");
  }
  const name = optionalString(body, "displayname");
  return await finishRegistration(call, body, username, password, {
    admin,
    ...(name === undefined ? {} : { displayName: name }),
  });
}

async function finishRegistration(
  call: Call,
  body: Body,
  username: string,
  password: string,
  account: {
    readonly admin: boolean;
    readonly displayName?: string;
    readonly useToken?: () => void;
  },
): Promise<unknown> {
  const { ctx } = call;
  checkUsername(ctx, username);
  const hash = await hashPassword(password);
  const device = {
    id: optionalString(body, "device_id"),
    name: optionalString(body, "initial_device_display_name"),
    address: call.address,
  };
  return await ctx.db.write(() => {
    account.useToken?.();
    const { admin, displayName } = account;
    const userId = createUser(ctx, username, hash, admin);
    if (displayName !== undefined) {
      ctx.db.run(
        "UPDATE users SET profile = ? WHERE user_id = ?",
        JSON.stringify({ displayname: displayName }),
        userId,
      );
    }
    if (body["inhibit_login"] === true) {
      return { user_id: userId, home_server: ctx.serverName };
    }
    return createSession(ctx, userId, device);
  });
}

async function login(call: Call): Promise<unknown> {
  const { ctx } = call;
  const body = await call.body();
  if (body["type"] !== "m.login.password") {
    throw new MatrixError(400, "M_UNKNOWN", "Cannot log in: only m.login.password is known here");
  }
  const identifier = optionalObject(body, "identifier");
  const user = identifier === undefined
    ? requiredString(body, "user")
    : requiredString(identifier, "user");
  const password = requiredString(body, "password");
  const userId = user.startsWith("@") ? user : `@${user.toLowerCase()}:${ctx.serverName}`;
  ctx.limits.take("login", `${call.address} ${userId}`);
  const row = ctx.db.get("SELECT password, deactivated FROM users WHERE user_id = ?", userId);
  const stored = row === undefined ? null : row["password"] as string | null;
  if (!await checkPassword(password, stored) || row?.["deactivated"] === 1) {
    if (row?.["deactivated"] === 1) {
      throw new MatrixError(403, "M_USER_DEACTIVATED", "Cannot log in: the account is deactivated");
    }
    throw forbidden("Cannot log in: user name or password is wrong");
  }
  const device = {
    id: optionalString(body, "device_id"),
    name: optionalString(body, "initial_device_display_name"),
    address: call.address,
  };
  return await ctx.db.write(() => createSession(ctx, userId, device));
}

function isValidToken(ctx: Context, token: string): boolean {
  return ctx.db.get(
    "SELECT 1 AS yes FROM registration_tokens WHERE token = ? AND (uses_allowed IS NULL OR used < uses_allowed) AND (expires_ts IS NULL OR expires_ts > ?)",
    token,
    ctx.clock.now(),
  ) !== undefined;
}

/** Registration needs a token (`m.login.registration_token`): a dev box must not be open to passers-by. */
async function register(call: Call): Promise<unknown> {
  const { ctx } = call;
  ctx.limits.take("register", call.address);
  if (call.query.get("kind") === "guest") {
    throw new MatrixError(403, "M_GUEST_ACCESS_FORBIDDEN", "Cannot register: there are no guests");
  }
  const body = await call.body();
  const username = (optionalString(body, "username") ?? randomText(12)).toLowerCase();
  checkUsername(ctx, username);
  const auth = body["auth"];
  const challenge = {
    flows: [{ stages: ["m.login.registration_token"] }],
    params: {},
    session: isObject(auth) && typeof auth["session"] === "string"
      ? auth["session"]
      : randomText(24),
  };
  if (!isObject(auth) || auth["type"] !== "m.login.registration_token") {
    throw new MatrixError(
      401,
      "M_FORBIDDEN",
      "Cannot register without a registration token",
      challenge,
    );
  }
  const token = requiredString(auth, "token");
  if (!isValidToken(ctx, token)) {
    throw new MatrixError(
      401,
      "M_UNAUTHORIZED",
      "Cannot register: the token is not valid",
      challenge,
    );
  }
  const password = optionalString(body, "password");
  if (password === undefined) throw missingParam('Cannot register: "password" is missing');
  // With the account, or not at all: a token for one makes one, and a name that is taken costs none.
  const useToken = () => {
    if (!isValidToken(ctx, token)) throw forbidden("Cannot register: the token was just used up");
    ctx.db.run("UPDATE registration_tokens SET used = used + 1 WHERE token = ?", token);
  };
  return await finishRegistration(call, body, username, password, { admin: false, useToken });
}
