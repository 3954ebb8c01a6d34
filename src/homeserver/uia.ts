// SPDX-License-Identifier: Apache-2.0

/** User-interactive authentication by password, for what a stolen token alone must not do. */
import { checkPassword } from "./accounts.ts";
import { randomText } from "./context.ts";
import { forbidden, MatrixError } from "./errors.ts";
import type { AuthedCall, Body } from "./http.ts";
import { isObject, requiredString } from "./params.ts";

/** @throws {MatrixError} 401 with the flows until the caller gave the account's password */
export async function requirePassword(call: AuthedCall, body: Body): Promise<void> {
  const { ctx, session } = call;
  const auth = body["auth"];
  const challenge = {
    flows: [{ stages: ["m.login.password"] }],
    params: {},
    session: isObject(auth) && typeof auth["session"] === "string"
      ? auth["session"]
      : randomText(24),
  };
  if (!isObject(auth) || auth["type"] !== "m.login.password") {
    throw new MatrixError(401, "M_FORBIDDEN", "Cannot do this without the password", challenge);
  }
  const identifier = auth["identifier"];
  const user = isObject(identifier) ? identifier["user"] : auth["user"];
  if (
    user !== undefined && user !== session.userId && `@${user}:${ctx.serverName}` !== session.userId
  ) {
    throw forbidden("Cannot do this: the password must be that of your own account");
  }
  ctx.limits.take("login", `${call.address} ${session.userId}`);
  const row = ctx.db.get("SELECT password FROM users WHERE user_id = ?", session.userId);
  if (!await checkPassword(requiredString(auth, "password"), row?.["password"] as string | null)) {
    throw new MatrixError(401, "M_FORBIDDEN", "Cannot do this: the password is wrong", challenge);
  }
}
