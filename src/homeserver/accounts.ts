// SPDX-License-Identifier: Apache-2.0

/** Accounts, passwords, devices and tokens. */
import { Buffer } from "node:buffer";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { type Context, randomText } from "./context.ts";
import { forbidden, MatrixError } from "./errors.ts";
import { hashToken } from "./http.ts";
import { newUserId } from "./params.ts";

/**
 * scrypt cost: 32 MiB and about 100 ms each. At this size malloc maps the memory and gives it back;
 * half of it would stay in the process for ever.
 */
const COST = { N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
/** Passwords hashed at a time, so that logins neither fill the memory nor starve the rest. */
const MAX_HASHING = 1;

let hashing = 0;
const queue: (() => void)[] = [];

async function derive(password: string, salt: Uint8Array): Promise<Buffer> {
  if (hashing >= MAX_HASHING) await new Promise<void>((resolve) => queue.push(resolve));
  else hashing++;
  try {
    return await new Promise((resolve, reject) => {
      scrypt(
        password.normalize("NFC"),
        salt,
        32,
        COST,
        (error, key) => error === null ? resolve(key) : reject(error),
      );
    });
  } finally {
    const next = queue.shift();
    if (next === undefined) hashing--;
    else next();
  }
}

/** @returns `scrypt$<salt>$<hash>` in hex */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  return `scrypt$${salt.toString("hex")}$${(await derive(password, salt)).toString("hex")}`;
}

export async function checkPassword(password: string, stored: string | null): Promise<boolean> {
  const [scheme, salt, hash] = (stored ?? "").split("$");
  // An unknown account costs as much as a known one: timing must not tell them apart.
  const derived = await derive(password, Buffer.from(salt ?? "00", "hex"));
  if (scheme !== "scrypt" || hash === undefined) return false;
  return timingSafeEqual(derived, Buffer.from(hash, "hex"));
}

/** @throws {MatrixError} M_USER_IN_USE, M_INVALID_USERNAME */
export function checkUsername(ctx: Context, localpart: string): string {
  const userId = newUserId(localpart, ctx.serverName);
  if (userId === undefined) {
    throw new MatrixError(
      400,
      "M_INVALID_USERNAME",
      "Cannot register: a user name is made of a-z, 0-9 and ._=-/+, 255 characters with the server's name",
    );
  }
  if (ctx.db.get("SELECT 1 AS yes FROM users WHERE user_id = ?", userId) !== undefined) {
    throw new MatrixError(400, "M_USER_IN_USE", `Cannot register "${userId}": it exists already`);
  }
  return userId;
}

/** Inside `db.write`. */
export function createUser(
  ctx: Context,
  localpart: string,
  password: string | null,
  admin: boolean,
): string {
  const userId = checkUsername(ctx, localpart);
  ctx.db.run(
    "INSERT INTO users (user_id, password, admin, created_ts) VALUES (?, ?, ?, ?)",
    userId,
    password,
    admin ? 1 : 0,
    ctx.clock.now(),
  );
  return userId;
}

export interface NewSession {
  readonly user_id: string;
  readonly access_token: string;
  readonly device_id: string;
  readonly home_server: string;
}

/** A token for a device, new or known; a known device's old token ends. Inside `db.write`. */
export function createSession(
  ctx: Context,
  userId: string,
  device: { id?: string | undefined; name?: string | undefined; address: string },
): NewSession {
  const deviceId = device.id ?? randomText(10).toUpperCase();
  if (deviceId.length > 255) throw forbidden("Cannot log in: the device id is too long");
  ctx.db.run("DELETE FROM tokens WHERE user_id = ? AND device_id = ?", userId, deviceId);
  ctx.db.run(
    "INSERT INTO devices VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET last_seen_ts = excluded.last_seen_ts, last_seen_ip = excluded.last_seen_ip",
    userId,
    deviceId,
    device.name ?? null,
    ctx.clock.now(),
    device.address,
  );
  const token = `syt_${randomText(40)}`;
  ctx.db.run(
    "INSERT INTO tokens VALUES (?, ?, ?, ?)",
    hashToken(token),
    userId,
    deviceId,
    ctx.clock.now(),
  );
  return {
    user_id: userId,
    access_token: token,
    device_id: deviceId,
    home_server: ctx.serverName,
  };
}

/** Ends a device: its tokens and what waited for it. Inside `db.write`. */
export function removeDevice(ctx: Context, userId: string, deviceId: string): void {
  ctx.db.run("DELETE FROM tokens WHERE user_id = ? AND device_id = ?", userId, deviceId);
  ctx.db.run("DELETE FROM devices WHERE user_id = ? AND device_id = ?", userId, deviceId);
  ctx.db.run("DELETE FROM to_device WHERE user_id = ? AND device_id = ?", userId, deviceId);
  ctx.db.run("DELETE FROM transactions WHERE user_id = ? AND device_id = ?", userId, deviceId);
  // Its long polls learn that the token is gone.
  ctx.db.afterCommit(() => ctx.notifier.wakeUser(userId));
}

export function removeAllDevices(ctx: Context, userId: string): void {
  for (const table of ["tokens", "devices", "to_device", "transactions"]) {
    ctx.db.run(`DELETE FROM ${table} WHERE user_id = ?`, userId);
  }
  ctx.db.afterCommit(() => ctx.notifier.wakeUser(userId));
}
