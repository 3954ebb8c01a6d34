// SPDX-License-Identifier: Apache-2.0

/** First boot and the making of agents by the real command against the real homeserver. */
import assert from "node:assert/strict";
import { SECRET, Server } from "../../homeserver/_process.ts";
import { LauncherPolicy } from "../../launcher/api.ts";
import { DaemonBootstrap } from "../../daemon/api.ts";
import { grantFlags, parseGrants } from "../../lib/process/mod.ts";
import { Assignment, Credentials, EventType } from "../../lib/schema/mod.ts";
import { generateMachineKey, unsealBundle } from "../../lib/sealed/mod.ts";
import { verifyContent } from "../../lib/signature/mod.ts";
import { createMatrixClient, type MatrixClient, type StateEvent } from "../../messaging/mod.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;
const MACHINE = "bureau/fleet/dev/machine/m";
const SCRIBE = "bureau/fleet/dev/agent/scribe";
const KEY = "the-key-of-the-timestamp-authority";

interface Done {
  readonly code: number;
  // deno-lint-ignore no-explicit-any -- answers are looked at field by field
  readonly body: any;
}

class Place implements AsyncDisposable {
  private constructor(
    readonly dir: string,
    public server: Server,
    readonly identity: string,
    readonly recipient: string,
  ) {}

  static async make(): Promise<Place> {
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
    for (const name of ["s/operator", "s/workspaces", "r"]) {
      await Deno.mkdir(`${dir}/${name}`, { recursive: true });
    }
    const { identity, recipient } = await generateMachineKey();
    return new Place(dir, await Server.start(), identity, recipient);
  }

  get operatorDir(): string {
    return `${this.dir}/s/operator`;
  }

  async cli(args: string[], document?: unknown, killAfterMs?: number): Promise<Done> {
    const grants = parseGrants(await Deno.readTextFile(`${ROOT}tasks/grants.txt`), {
      STATE: `${this.dir}/s`,
      RUN: `${this.dir}/r`,
      RUNTIME: ROOT,
      DENO: Deno.execPath(),
      HOMESERVER: new URL(this.server.url).host,
      REPO: `${this.dir}/repo`,
    });
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-prompt", "--cached-only", `--config=${ROOT}deno.json`],
        "--permission-set=bureau",
        ...grantFlags(grants, "bureau"),
        `${ROOT}src/cmd/bureau.ts`,
        ...args,
        ...["--json", "--state-dir", `${this.dir}/s`, "--run-dir", `${this.dir}/r`],
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = process.stdin.getWriter();
    if (document !== undefined) {
      await writer.write(new TextEncoder().encode(JSON.stringify(document)));
    }
    await writer.close();
    if (killAfterMs !== undefined) {
      const timer = setTimeout(() => process.kill("SIGKILL"), killAfterMs);
      process.status.then(() => clearTimeout(timer));
    }
    const { code, stdout, stderr } = await process.output();
    const text = new TextDecoder().decode(code === 0 ? stdout : stderr);
    return { code, body: text.trim() === "" ? null : JSON.parse(text) };
  }

  boot(change: Record<string, unknown> = {}, killAfterMs?: number): Promise<Done> {
    return this.cli(["boot"], {
      version: 1,
      homeserver_url: this.server.url,
      registration_shared_secret: SECRET,
      namespace: "bureau",
      fleet: "dev",
      machine: "m",
      operator: "operator",
      machine_public_key: this.recipient,
      state_dir: `${this.dir}/s`,
      run_dir: `${this.dir}/r`,
      bind_roots: [{ path: `${this.dir}/s/workspaces`, mode: "rw" }],
      ...change,
    }, killAfterMs);
  }

  create(change: Record<string, unknown> = {}): Promise<Done> {
    return this.cli(["agent", "create", "scribe", "--from-stdin"], {
      version: 1,
      template: "bureau/template:scribe",
      variables: {
        AGENT_DIR: "/opt/x",
        TIMESTAMP_URL: "https://localhost:1",
        TIMESTAMP_HOST: "localhost:1",
      },
      credentials: { TIMESTAMP_API_KEY: { value: KEY, allowed_hosts: ["localhost:1"] } },
      ...change,
    });
  }

  async json(name: string) {
    return JSON.parse(await Deno.readTextFile(`${this.operatorDir}/${name}`));
  }

  async client(): Promise<MatrixClient> {
    const { homeserver_url, access_token } = await this.json("session.json");
    return createMatrixClient({ homeserverUrl: homeserver_url, accessToken: access_token });
  }

  /** Every event of every room of the operator, by id. */
  async events(): Promise<Set<string>> {
    const client = await this.client();
    const ids = new Set<string>();
    for (const room of await client.joinedRooms()) {
      for (const event of await client.roomState(room)) ids.add(event.event_id!);
      const { chunk } = await client.messages(room, { limit: 1000 });
      for (const event of chunk) ids.add(event.event_id!);
    }
    return ids;
  }

  async state(alias: string): Promise<StateEvent[]> {
    const client = await this.client();
    const room = await client.resolveAlias(`#${alias}:bureau.local`);
    assert.ok(room !== null, alias);
    return await client.roomState(room);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

const mode = async (path: string) => (await Deno.stat(path)).mode! & 0o777;

Deno.test("boot makes accounts, rooms, templates, keys and policy once; a repeat changes nothing", async () => {
  await using place = await Place.make();
  const first = await place.boot();
  assert.equal(first.code, 0, JSON.stringify(first.body));
  assert.equal(first.body.server_name, "bureau.local");
  for (const name of ["session.json", "signing-key.json", "machine-session.json"]) {
    assert.equal(await mode(`${place.operatorDir}/${name}`), 0o600, name);
  }
  assert.equal(await mode(`${place.operatorDir}/policy.json`), 0o644);
  const policy = LauncherPolicy.parse(await place.json("policy.json"));
  assert.equal(policy.operator_keys[0], (await place.json("signing-key.json")).publicKey);
  const document = DaemonBootstrap.parse(await place.json("machine-session.json"));
  assert.equal(document.user_id, `@${MACHINE}:bureau.local`);

  const before = await place.events();
  const files = async () => {
    const entries: string[] = [];
    for await (const { name } of Deno.readDir(place.operatorDir)) {
      const { mtime, size } = await Deno.stat(`${place.operatorDir}/${name}`);
      entries.push(`${name} ${size} ${mtime?.getTime()}`);
    }
    return entries.sort();
  };
  const filesBefore = await files();
  const second = await place.boot();
  assert.equal(second.code, 0, JSON.stringify(second.body));
  assert.equal(second.body.changes, 0);
  assert.deepEqual(await place.events(), before);
  assert.deepEqual(await files(), filesBefore);

  // The machine key comes from the machine itself, and in every room it is no more than it must be.
  const key = (await place.state("bureau/fleet/dev/machine"))
    .find(({ type }) => type === EventType.machineKey)!;
  assert.equal(key.sender, document.user_id);
  assert.equal(key.content["public_key"], place.recipient);
  for (const alias of ["bureau/template", MACHINE, "bureau/system", "bureau/fleet/dev/service"]) {
    const state = await place.state(alias);
    const levels = state.find(({ type }) => type === "m.room.power_levels")!.content;
    assert.ok(((levels["users"] as Record<string, number>)[document.user_id] ?? 0) <= 50, alias);
    assert.equal(levels["state_default"], 100, alias);
    const rules = state.find(({ type }) => type === "m.room.join_rules")!.content;
    assert.equal(rules["join_rule"], "invite", alias);
  }
});

Deno.test("boot goes on when it was killed anywhere", async () => {
  await using place = await Place.make();
  let whole: number;
  {
    await using other = await Place.make();
    const started = Date.now();
    assert.equal((await other.boot()).code, 0);
    whole = Date.now() - started;
  }
  for (let part = 2; part <= 10; part++) await place.boot({}, whole * part / 10);
  const last = await place.boot();
  assert.equal(last.code, 0, JSON.stringify(last.body));
  assert.equal((await place.boot()).body.changes, 0);
  const client = await place.client();
  assert.equal((await client.joinedRooms()).length, 7, "no room was made twice");
});

Deno.test("boot mends what was changed, and keeps what a person added to the policy", async () => {
  await using place = await Place.make();
  assert.equal((await place.boot()).code, 0);
  const client = await place.client();
  const room = (await client.resolveAlias(`#${MACHINE}:bureau.local`))!;
  const levels = (await client.getState(room, "m.room.power_levels"))!;
  await client.putState(room, "m.room.power_levels", "", { ...levels, state_default: 0 });
  const templates = (await client.resolveAlias("#bureau/template:bureau.local"))!;
  await client.putState(templates, EventType.template, "base", { description: "older" });
  const policy = await place.json("policy.json");
  policy.bind_roots.push({ path: "/srv/data", mode: "ro" });
  policy.passthrough.push(SCRIBE);
  policy.devices = ["kvm"];
  await Deno.writeTextFile(`${place.operatorDir}/policy.json`, JSON.stringify(policy));
  // The machine's session was revoked.
  const machine = await place.json("machine-session.json");
  await createMatrixClient({
    homeserverUrl: place.server.url,
    accessToken: machine.access_token,
  }).logout();

  const done = await place.boot();
  assert.equal(done.code, 0, JSON.stringify(done.body));
  assert.equal((await client.getState(room, "m.room.power_levels"))!["state_default"], 100);
  assert.notEqual(
    (await client.getState(templates, EventType.template, "base"))!["description"],
    "older",
  );
  const after = await place.json("policy.json");
  assert.equal(after.bind_roots.length, 2);
  assert.deepEqual(after.passthrough, [SCRIBE]);
  assert.deepEqual(after.devices, ["kvm"]);
  const { access_token } = await place.json("machine-session.json");
  await createMatrixClient({ homeserverUrl: place.server.url, accessToken: access_token }).whoami();
});

Deno.test("boot says what to do when the homeserver is away, refuses, or is something else", async () => {
  await using place = await Place.make();
  const wrong = await place.boot({ registration_shared_secret: "not it" });
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.body.error.message, /refuses the registration secret/);
  assert.ok(wrong.body.error.hint);
  assert.doesNotMatch(JSON.stringify(wrong.body), /not it/);

  const other = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("hello"),
  );
  const { url } = place.server;
  Object.defineProperty(place.server, "url", {
    value: `http://127.0.0.1:${other.addr.port}`,
    configurable: true,
  });
  const strange = await place.boot();
  assert.notEqual(strange.code, 0);
  assert.match(strange.body.error.hint, /Matrix homeserver\?/);
  await other.shutdown();
  const away = await place.boot();
  assert.equal(away.code, 3);
  assert.match(away.body.error.message, /does not answer/);
  Object.defineProperty(place.server, "url", { value: url, configurable: true });
  assert.equal((await place.boot()).code, 0, "and then it works");
});

Deno.test("agent create seals, signs and assigns once; a repeat changes nothing", async () => {
  await using place = await Place.make();
  assert.equal((await place.boot()).code, 0);
  const repo = `${place.dir}/repo`;
  const git = (...args: string[]) =>
    new Deno.Command("git", { args: ["-C", repo, ...args], stdout: "null" }).output();
  await Deno.mkdir(repo);
  await git("init", "--quiet");
  await git(
    ...["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty"],
    ...["-m", "first"],
  );
  const made = await place.create({ repo });
  assert.equal(made.code, 0, JSON.stringify(made.body));
  const config = await place.state(MACHINE);
  const subject = `${SCRIBE}:bureau.local`;
  const find = (type: string) =>
    config.find((event) => event.type === type && event.state_key === subject)!.content;
  const credentials = Credentials.parse(find(EventType.credentials));
  const bundle = await unsealBundle(credentials.ciphertext, place.identity);
  assert.equal(bundle.principal, `@${subject}`);
  assert.deepEqual(bundle.credentials, {});
  const part = credentials.parts!["TIMESTAMP_API_KEY"]!;
  const { credentials: sealed } = await unsealBundle(part.ciphertext, place.identity);
  assert.equal(sealed["TIMESTAMP_API_KEY"]!.value, KEY);
  assert.doesNotMatch(JSON.stringify(config), new RegExp(KEY));
  const agent = createMatrixClient({
    homeserverUrl: bundle.matrix!.homeserver_url,
    accessToken: bundle.matrix!.access_token,
  });
  assert.equal((await agent.whoami()).user_id, `@${subject}`);
  assert.deepEqual(await agent.joinedRooms(), [made.body.room], "its own room and no other");
  const assignment = Assignment.parse(find(EventType.assignment));
  await verifyContent(find(EventType.assignment), (await place.json("policy.json")).operator_keys);
  assert.equal(assignment.desired, "running");
  assert.equal(assignment.machine, `@${MACHINE}:bureau.local`);

  // It may write what its template says, and nothing that decides.
  await agent.putState(made.body.room, EventType.report, "", { ok: true });
  for (const type of ["m.room.name", EventType.authorization, "m.room.power_levels"]) {
    await assert.rejects(agent.putState(made.body.room, type, "", { x: 1 }), /./, type);
  }

  const before = await place.events();
  const again = await place.create({ repo, credentials: null });
  assert.deepEqual([again.code, again.body.changed], [0, false], JSON.stringify(again.body));
  assert.deepEqual(await place.events(), before);

  await git(
    ...["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty"],
    ...["-m", "second"],
  );
  const moved = await place.create({ repo, credentials: null });
  assert.equal(moved.body.changed, true, "another head is another workspace");

  const gone = await place.cli(["agent", "destroy", "scribe", "--yes"]);
  assert.equal(gone.code, 0, JSON.stringify(gone.body));
  await assert.rejects(agent.whoami(), /./, "its session is over");
  const after = (await place.state(MACHINE)).filter(({ state_key }) => state_key === subject);
  const content = (type: string) => after.find((event) => event.type === type)!.content;
  assert.equal(content(EventType.assignment)["desired"], "absent");
  await verifyContent(
    content(EventType.assignment),
    (await place.json("policy.json")).operator_keys,
  );
  assert.deepEqual(content(EventType.credentials), {});

  const missing = await place.create({ repo, credentials: null });
  assert.match(missing.body.error.message, /TIMESTAMP_API_KEY/);
  const revived = await place.create({ repo });
  assert.equal(revived.code, 0, JSON.stringify(revived.body));
});

Deno.test("agent create refuses before it makes anything", async () => {
  await using place = await Place.make();
  assert.equal((await place.boot()).code, 0);
  const before = await place.events();
  const cases: readonly [Record<string, unknown>, RegExp][] = [
    [{ template: "bureau/template:nothing" }, /nothing/],
    [{ template: "no reference" }, /template reference/],
    [{ variables: {} }, /AGENT_DIR|TIMESTAMP/],
    [{ credentials: null }, /TIMESTAMP_API_KEY/],
    [{ repo: `${place.dir}/none` }, /Cannot clone/],
  ];
  for (const [change, message] of cases) {
    const done = await place.create(change);
    assert.notEqual(done.code, 0);
    assert.match(done.body.error.message, message);
  }
  assert.deepEqual(await place.events(), before);
});

Deno.test("agent create refuses a room whose alias somebody else took first", async () => {
  await using place = await Place.make();
  assert.equal((await place.boot()).code, 0);
  const repo = await Deno.realPath(`${ROOT}`);
  const mallory = await place.server.register("mallory");
  const { user_id: operator } = await place.json("session.json");
  // The operator is let in with all power, and still it is mallory's room.
  const { status, body } = await mallory.call("POST", "/_matrix/client/v3/createRoom", {
    room_alias_name: SCRIBE,
    preset: "private_chat",
    invite: [operator],
    power_level_content_override: { users: { [mallory.id]: 100, [operator]: 100 } },
  });
  assert.equal(status, 200);
  const uninvited = await place.create({ repo });
  assert.equal(uninvited.body.error.code, "foreign-room", JSON.stringify(uninvited.body));
  await (await place.client()).join(body["room_id"] as string);
  const refused = await place.create({ repo });
  assert.equal(refused.body.error.code, "foreign-room", JSON.stringify(refused.body));
  assert.match(refused.body.error.message, /mallory/);
});
