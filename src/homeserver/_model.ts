// SPDX-License-Identifier: Apache-2.0

/** Users of a homeserver that runs within the test's own process. */
import { createHmac } from "node:crypto";
import { type Reply, SECRET, type User } from "./_process.ts";

async function call(
  url: string,
  method: string,
  path: string,
  token: string | undefined,
  body: unknown,
): Promise<Reply> {
  const response = await fetch(
    `${url}${path.startsWith("/") ? path : `/_matrix/client/v3/${path}`}`,
    {
      method,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    },
  );
  return { status: response.status, body: await response.json(), headers: response.headers };
}

/** @param url of a homeserver whose shared secret is `SECRET` */
export async function registerAt(url: string, username: string): Promise<User> {
  const path = "/_synapse/admin/v1/register";
  const { body: { nonce } } = await call(url, "GET", path, undefined, undefined);
  const mac = createHmac("sha1", SECRET).update([nonce, username, "p", "notadmin"].join("\0"));
  const { status, body } = await call(url, "POST", path, undefined, {
    nonce,
    username,
    password: "p",
    mac: mac.digest("hex"),
  });
  if (status !== 200) throw new Error(`register ${username}: ${status} ${JSON.stringify(body)}`);
  return {
    id: body.user_id,
    token: body.access_token,
    device: body.device_id,
    call: (method, path, content) => call(url, method, path, body.access_token, content),
  };
}
