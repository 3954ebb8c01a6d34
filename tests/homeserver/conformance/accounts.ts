// SPDX-License-Identifier: Apache-2.0

/** Accounts, sessions, devices, and user-interactive authentication. */
import assert from "node:assert/strict";
import { type Actor, enc, type Scenario } from "./world.ts";

/** Answers the 401 of an endpoint that wants the password again. */
async function withPassword(
  actor: Actor,
  method: string,
  path: string,
  body: Record<string, unknown>,
  password = actor.password,
) {
  const first = await actor.call(method, path, { body });
  assert.equal(first.status, 401, JSON.stringify(first.body));
  return await actor.call(method, path, {
    body: {
      ...body,
      auth: {
        type: "m.login.password",
        identifier: { type: "m.id.user", user: actor.id },
        password,
        session: first.body.session,
      },
    },
  });
}

const passwordLogin = (user: string, password: string, more: object = {}) => ({
  type: "m.login.password",
  identifier: { type: "m.id.user", user },
  password,
  ...more,
});

export const accounts: readonly Scenario[] = [
  {
    name: "registering takes a registration token",
    async run(world) {
      const anybody = world.anybody();
      const username = world.fresh("newcomer");
      const asked = await anybody.post("register", { username, password: "secret 1234" }, "401");
      const stages = asked.flows.flatMap((flow: { stages: string[] }) => flow.stages);
      assert.ok(stages.includes("m.login.registration_token"), JSON.stringify(asked));
      assert.equal(typeof asked.session, "string");
      await anybody.post("register", {
        username,
        password: "secret 1234",
        auth: { type: "m.login.registration_token", token: "wrong", session: asked.session },
      }, "401");
      const valid = (token: string) =>
        anybody.get(
          `/_matrix/client/v1/register/m.login.registration_token/validity?token=${token}`,
        );
      assert.equal((await valid(enc(world.registrationToken))).valid, true);
      assert.equal((await valid("wrong")).valid, false);
    },
  },
  {
    name: "a name is taken once, and must be a name",
    async run(world) {
      const [alice, anybody] = [await world.user("alice"), world.anybody()];
      const available = (name: string, expected?: string) =>
        anybody.get(`register/available?username=${enc(name)}`, expected);
      await available(alice.localpart, "400 M_USER_IN_USE");
      await available("Not A Name!", "400 M_INVALID_USERNAME");
      assert.equal((await available(world.fresh("free"))).available, true);
      const taken = { username: alice.localpart, password: "secret 1234" };
      await anybody.post("register", taken, "400 M_USER_IN_USE");
      const odd = { username: "no/spaces here", password: "secret 1234" };
      await anybody.post("register", odd, "400 M_INVALID_USERNAME");
    },
  },
  {
    name: "login by localpart and by id, and not with a wrong password",
    async run(world) {
      const [alice, anybody] = [await world.user("alice"), world.anybody()];
      await anybody.get("login");
      for (const user of [alice.localpart, alice.id]) {
        const body = await anybody.post("login", passwordLogin(user, alice.password));
        assert.equal(body.user_id, alice.id);
        world.session("again", body, alice.password);
      }
      await anybody.post("login", passwordLogin(alice.id, "wrong"), "403 M_FORBIDDEN");
      const nobody = world.fresh("nobody");
      await anybody.post("login", passwordLogin(nobody, "wrong"), "403 M_FORBIDDEN");
      await anybody.post("login", { type: "m.login.nonsense" }, "4xx");
    },
  },
  {
    name: "a second session on a device, and logout",
    async run(world) {
      const [alice, anybody] = [await world.user("alice"), world.anybody()];
      const device = { device_id: "PHONE", initial_device_display_name: "Phone" };
      const login = () => anybody.post("login", passwordLogin(alice.id, alice.password, device));
      const first = world.session("phone", await login(), alice.password);
      assert.equal((await first.get("account/whoami")).device_id, "PHONE");
      const second = world.session("phone", await login(), alice.password);
      await first.get("account/whoami", "any");
      await second.post("logout");
      await second.get("account/whoami", "401 M_UNKNOWN_TOKEN");
      assert.equal((await alice.get("account/whoami")).user_id, alice.id);
      await alice.post("logout/all");
      await alice.get("account/whoami", "401 M_UNKNOWN_TOKEN");
      await anybody.get("account/whoami", "401 M_MISSING_TOKEN");
    },
  },
  {
    name: "devices are listed, renamed, and removed with the password",
    async run(world) {
      const [alice, anybody] = [await world.user("alice"), world.anybody()];
      const body = await anybody.post(
        "login",
        passwordLogin(alice.id, alice.password, { device_id: "TABLET" }),
      );
      const tablet = world.session("tablet", body, alice.password);
      const ids = (list: { device_id: string }[]) => list.map((one) => one.device_id).sort();
      const { devices } = (await alice.call("GET", "devices")).body;
      assert.deepEqual(ids(devices), [alice.device, "TABLET"].sort());
      await alice.put("devices/TABLET", { display_name: "Big one" });
      assert.equal((await alice.get("devices/TABLET")).display_name, "Big one");
      await alice.get("devices/NOTHING", "404 M_NOT_FOUND");
      const wrong = await withPassword(alice, "DELETE", "devices/TABLET", {}, "wrong");
      assert.ok([401, 403].includes(wrong.status), String(wrong.status));
      const removed = await withPassword(alice, "DELETE", "devices/TABLET", {});
      assert.equal(removed.status, 200, JSON.stringify(removed.body));
      await tablet.get("account/whoami", "401 M_UNKNOWN_TOKEN");
    },
  },
  {
    name: "a new password takes the old one, and ends the other sessions",
    async run(world) {
      const [alice, anybody] = [await world.user("alice"), world.anybody()];
      const body = await anybody.post("login", passwordLogin(alice.id, alice.password));
      const other = world.session("other", body, alice.password);
      const changed = await withPassword(alice, "POST", "account/password", {
        new_password: "a new password",
      });
      assert.equal(changed.status, 200, JSON.stringify(changed.body));
      await other.get("account/whoami", "401 M_UNKNOWN_TOKEN");
      await alice.get("account/whoami");
      await anybody.post("login", passwordLogin(alice.id, alice.password), "403 M_FORBIDDEN");
      const again = await anybody.post("login", passwordLogin(alice.id, "a new password"));
      world.session("again", again, "a new password");
    },
  },
  {
    name: "a deactivated account is gone from its rooms and cannot log in",
    async run(world) {
      const [alice, bob] = await world.users("alice", "bob");
      const room = await bob!.room({ preset: "public_chat" });
      await alice!.join(room);
      const done = await withPassword(alice!, "POST", "account/deactivate", {});
      assert.equal(done.status, 200, JSON.stringify(done.body));
      await alice!.get("account/whoami", "401 M_UNKNOWN_TOKEN");
      await world.anybody().post("login", passwordLogin(alice!.id, alice!.password), "403");
      const deadline = Date.now() + 30_000;
      while (true) {
        const { body } = await bob!.unrecorded("GET", `rooms/${enc(room)}/joined_members`);
        if (!(alice!.id in body.joined)) break;
        assert.ok(Date.now() < deadline, "a deactivated account stays in its room");
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
  },
  {
    name: "registering without a session, and what the server says about itself",
    async run(world) {
      const anybody = world.anybody();
      const versions = await anybody.get("/_matrix/client/versions");
      assert.ok(versions.versions.includes("v1.11"), JSON.stringify(versions));
      const alice = await world.user("alice");
      const { capabilities } = (await alice.call("GET", "capabilities")).body;
      assert.equal(capabilities["m.room_versions"].available["11"], "stable");
      const username = world.fresh("quiet");
      const body = { username, password: "secret 1234", inhibit_login: true };
      const asked = await anybody.post("register", body, "401");
      const auth = {
        type: "m.login.registration_token",
        token: world.registrationToken,
        session: asked.session,
      };
      let reply = await anybody.unrecorded("POST", "register", { body: { ...body, auth } });
      if (reply.status === 401) {
        reply = await anybody.unrecorded("POST", "register", {
          body: { ...body, auth: { type: "m.login.dummy", session: asked.session } },
        });
      }
      assert.equal(reply.status, 200, JSON.stringify(reply.body));
      assert.equal(reply.body.access_token, undefined);
    },
  },
  {
    name: "what is no request is refused as the specification says",
    async run(world) {
      const alice = await world.user("alice");
      await alice.get("no/such/endpoint", "404 M_UNRECOGNIZED");
      const broken = await alice.call("POST", "createRoom", {
        body: "{",
        headers: { "content-type": "application/json" },
      });
      assert.equal(`${broken.status} ${broken.body.errcode}`, "400 M_NOT_JSON");
      const list = await alice.call("POST", "createRoom", { body: [] });
      assert.equal(list.status, 400);
      const method = await alice.call("DELETE", "joined_rooms");
      assert.equal(`${method.status} ${method.body.errcode}`, "405 M_UNRECOGNIZED");
      const options = await world.anybody().call("OPTIONS", "sync");
      assert.ok(options.status < 300);
      assert.equal(options.headers.get("access-control-allow-origin"), "*");
    },
  },
];
