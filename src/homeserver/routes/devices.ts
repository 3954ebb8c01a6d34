// SPDX-License-Identifier: Apache-2.0

/** Devices, messages to devices, the account itself, and stubs for encryption keys. */
import { hashPassword, removeDevice } from "../accounts.ts";
import { encodeContent } from "../append.ts";
import { deactivate } from "../deactivate.ts";
import { badJson, notFound } from "../errors.ts";
import { type AuthedCall, type Body, MAX_BULK_BYTES, type Routes } from "../http.ts";
import { isObject, optionalObject, optionalString, requiredString, stringList } from "../params.ts";
import { requirePassword } from "../uia.ts";
import { once, transactionPath } from "./events.ts";

export function deviceRoutes(routes: Routes): void {
  routes
    .on("GET", "/devices", ({ ctx, session }) => ({
      devices: ctx.db.all("SELECT * FROM devices WHERE user_id = ?", session.userId).map(asDevice),
    }))
    .on("GET", "/devices/:deviceId", (call) => asDevice(ownDevice(call)))
    .on("PUT", "/devices/:deviceId", async (call) => {
      const { ctx, session, params } = call;
      ownDevice(call);
      const name = optionalString(await call.body(), "display_name");
      if (name !== undefined) {
        await ctx.db.write(() =>
          ctx.db.run(
            "UPDATE devices SET display_name = ? WHERE user_id = ? AND device_id = ?",
            name.slice(0, 255),
            session.userId,
            params["deviceId"]!,
          )
        );
      }
      return {};
    })
    .on("DELETE", "/devices/:deviceId", async (call) => {
      await requirePassword(call, await call.body());
      const { ctx, session, params } = call;
      await ctx.db.write(() => removeDevice(ctx, session.userId, params["deviceId"]!));
      return {};
    })
    .on("POST", "/delete_devices", async (call) => {
      const body = await call.body();
      await requirePassword(call, body);
      const { ctx, session } = call;
      await ctx.db.write(() => {
        for (const id of stringList(body, "devices")) removeDevice(ctx, session.userId, id);
      });
      return {};
    })
    .on("PUT", "/sendToDevice/:type/:txnId", sendToDevice)
    .on("POST", "/account/password", changePassword)
    .on("POST", "/account/deactivate", async (call) => {
      await requirePassword(call, await call.body());
      await call.ctx.db.write(() => deactivate(call.ctx, call.session.userId));
      return { id_server_unbind_result: "success" };
    })
    .on("POST", "/keys/upload", () => ({ one_time_key_counts: { signed_curve25519: 0 } }))
    .on("POST", "/keys/query", () => ({ device_keys: {}, failures: {} }))
    .on("POST", "/keys/claim", () => ({ one_time_keys: {}, failures: {} }))
    .on("GET", "/keys/changes", () => ({ changed: [], left: [] }));
}

const asDevice = (row: Body) => ({
  device_id: row["device_id"],
  display_name: row["display_name"],
  last_seen_ip: row["last_seen_ip"],
  last_seen_ts: row["last_seen_ts"],
});

function ownDevice({ ctx, session, params }: AuthedCall): Body {
  const row = ctx.db.get(
    "SELECT * FROM devices WHERE user_id = ? AND device_id = ?",
    session.userId,
    params["deviceId"]!,
  );
  if (row === undefined) throw notFound(`Cannot find device "${params["deviceId"]}"`);
  return row;
}

/** Every other device is logged out unless the caller says `logout_devices: false`. */
async function changePassword(call: AuthedCall): Promise<unknown> {
  const { ctx, session } = call;
  const body = await call.body();
  await requirePassword(call, body);
  const hash = await hashPassword(requiredString(body, "new_password"));
  await ctx.db.write(() => {
    ctx.db.run("UPDATE users SET password = ? WHERE user_id = ?", hash, session.userId);
    if (body["logout_devices"] === false) return;
    const others = ctx.db.all(
      "SELECT device_id FROM devices WHERE user_id = ? AND device_id <> ?",
      session.userId,
      session.deviceId,
    );
    for (const row of others) removeDevice(ctx, session.userId, String(row["device_id"]));
  });
  return {};
}

async function sendToDevice(call: AuthedCall): Promise<unknown> {
  const { ctx, session, params } = call;
  ctx.limits.take("write", session.userId);
  const messages = optionalObject(await call.body(MAX_BULK_BYTES), "messages") ?? {};
  const { type, txnId } = params as { type: string; txnId: string };
  const deliveries: [user: string, device: string, content: string][] = [];
  for (const [user, devices] of Object.entries(messages)) {
    if (!isObject(devices)) throw badJson(`Cannot send to devices of "${user}": not an object`);
    for (const [device, content] of Object.entries(devices)) {
      if (!isObject(content)) throw badJson("Cannot send to a device: its message is no object");
      deliveries.push([user, device, encodeContent(content)]);
    }
  }
  await ctx.db.write(() =>
    once(ctx, session, transactionPath("sendToDevice", type, txnId), () => {
      for (const [user, device, content] of deliveries) {
        const targets = ctx.db.all(
          "SELECT device_id FROM devices WHERE user_id = ? AND (device_id = ? OR ? = '*')",
          user,
          device,
          device,
        );
        for (const row of targets) {
          ctx.db.run(
            "INSERT INTO to_device VALUES (?, ?, ?, ?, ?, ?)",
            ctx.db.next(),
            user,
            row["device_id"]!,
            type,
            session.userId,
            content,
          );
        }
        ctx.db.afterCommit(() => ctx.notifier.wakeUser(user));
      }
      return {};
    })
  );
  return {};
}
