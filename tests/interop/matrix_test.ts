// SPDX-License-Identifier: Apache-2.0

/** A stock Matrix client (matrix-js-sdk on Node) inside a sandbox: by the proxy, without the account's token. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { withHomeserver } from "../homeserver/provider.ts";
import { packages } from "./packages.ts";
import { withRig } from "./rig.ts";
import { waitFor } from "./wait.ts";

const DEADLINE_MS = 120_000;

Deno.test("matrix-js-sdk in a sandbox: rooms, messages, media, and what is denied", async (t) => {
  const found = await packages("clients");
  if ("reason" in found) return await skip(t, found.reason);
  await using clients = found;
  await withHomeserver(t, async (homeserver) => {
    const { hostname, port, protocol } = new URL(homeserver.url);
    const server = {
      host: hostname,
      port: Number(port || (protocol === "https:" ? 443 : 80)),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    const agent = await homeserver.registerUser("agent");
    const friend = await homeserver.registerUser("friend");
    const asFriend = async (method: string, path: string, body?: unknown) => {
      const answer = await fetch(`${homeserver.url}/_matrix/client/v3/${path}`, {
        method,
        headers: { authorization: `Bearer ${friend.token}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return await answer.json();
    };
    await withRig(async (rig) => {
      await rig.allowBind(clients.dir);
      rig.secrets["token"] = agent.token;
      const running = await rig.start({
        matrix: {
          homeserver_url: homeserver.url,
          user_id: agent.id,
          access_token: agent.token,
        },
        servers: [server],
        grants: [{ actions: ["matrix/**"] }],
        denials: [{ actions: ["matrix/kick"] }],
        binds: { [clients.dir]: "/opt/clients" },
        environment: { BASE_URL: "http://127.0.0.1:8642", USER: agent.id, FRIEND: friend.id },
        script: "exec node /opt/clients/programs/matrix.mjs",
      });
      const ended = running.ended();
      let over = false;
      ended.then(() => over = true, () => {});
      let room = "";
      await waitFor("the friend is invited", async () => {
        if (over) throw new Error((await ended).said);
        const { rooms } = await asFriend("GET", "sync?timeout=1000");
        room = Object.keys(rooms?.invite ?? {})[0] ?? "";
        return room !== "";
      }, DEADLINE_MS);
      await asFriend("POST", `join/${encodeURIComponent(room)}`, {});
      // Said again each second until it is heard: the client may not be listening yet.
      const path = `rooms/${encodeURIComponent(room)}/send/m.room.message`;
      const since = performance.now();
      await waitFor("the client has ended", async () => {
        const second = Math.floor((performance.now() - since) / 1000);
        await asFriend("PUT", `${path}/t${second}`, { msgtype: "m.text", body: "hello yourself" });
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 500))]);
        return over;
      }, DEADLINE_MS);
      const { code, said } = await ended;
      assert.equal(code, 0, said);
      const { checked, failure } = JSON.parse(said.trim().split("\n").at(-1)!);
      assert.equal(failure, null);
      assert.equal(checked.length, 6, checked.join(", "));
    });
  });
});
