// SPDX-License-Identifier: Apache-2.0

/** Tests: a real homeserver, the real daemon process with its own permissions, and a launcher that only keeps books. */
import { createClient } from "../lib/http/mod.ts";
import { entityLocalpart, userId } from "../lib/ref/mod.ts";
import {
  type Assignment,
  configPowerLevels,
  EventType,
  type Template,
  templatePowerLevels,
} from "../lib/schema/mod.ts";
import { templateDigest } from "../lib/template/mod.ts";
import {
  createMatrixClient,
  type MatrixClient,
  type MatrixEvent,
  registerWithSharedSecret,
} from "../messaging/mod.ts";
import { SECRET, Server } from "../homeserver/_process.ts";
import { FakeLauncher } from "./fake_launcher_test.ts";
import { daemonApi, type DaemonBootstrap } from "./api.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
export const FLEET = "bureau/fleet/dev";
export const SERVER_NAME = "bureau.local";

export async function until<T>(
  look: () => T | Promise<T>,
  what: string,
  withinMs = 15_000,
): Promise<NonNullable<T>> {
  const end = Date.now() + withinMs;
  while (true) {
    const seen = await look();
    if (seen) return seen as NonNullable<T>;
    if (Date.now() > end) throw new Error(`did not come true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

interface Setup {
  readonly homeserver: Server;
  readonly run: string;
  readonly launcher: FakeLauncher;
  readonly operator: MatrixClient;
  readonly operatorToken: string;
  readonly operatorId: string;
  readonly machine: string;
  readonly machineToken: string;
  readonly configRoom: string;
  readonly templateRoom: string;
}

export class Bench implements AsyncDisposable {
  daemon: Deno.ChildProcess | null = null;
  /** Whom the next daemon tells of agents that need a person. */
  notify: DaemonBootstrap["notify"] = undefined;
  readonly #setup: Setup;
  #issued = Date.now();

  private constructor(setup: Setup) {
    this.#setup = setup;
  }

  get launcher(): FakeLauncher {
    return this.#setup.launcher;
  }
  get operator(): MatrixClient {
    return this.#setup.operator;
  }
  get setup(): Setup {
    return this.#setup;
  }

  static async start(): Promise<Bench> {
    const homeserver = await Server.start();
    const run = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
    for (const folder of ["launcher", "daemon", "p", "state"]) await Deno.mkdir(`${run}/${folder}`);
    const launcher = new FakeLauncher(run);
    await launcher.start();
    const at = { homeserverUrl: homeserver.url };
    const register = (user: string) =>
      registerWithSharedSecret(at, { user, password: `password of ${user}` }, SECRET);
    const person = await register("operator");
    const host = await register(`${FLEET}/machine/one`);
    const operator = createMatrixClient({ ...at, accessToken: person.access_token });
    const admins = [person.user_id];
    const configRoom = await operator.createRoom({
      room_alias_name: `${FLEET}/machine/one`,
      invite: [host.user_id],
      power_level_content_override: configPowerLevels(admins, host.user_id),
    });
    const templateRoom = await operator.createRoom({
      room_alias_name: "bureau/template",
      invite: [host.user_id],
      power_level_content_override: templatePowerLevels(admins),
    });
    return new Bench({
      homeserver,
      run,
      launcher,
      operator,
      operatorToken: person.access_token,
      operatorId: person.user_id,
      machine: host.user_id,
      machineToken: host.access_token,
      configRoom,
      templateRoom,
    });
  }

  get bootstrap(): DaemonBootstrap {
    return {
      version: 1,
      homeserver_url: this.#setup.homeserver.url,
      user_id: this.#setup.machine,
      access_token: this.#setup.machineToken,
      server_name: SERVER_NAME,
      namespace: "bureau",
      fleet: FLEET,
      admins: [this.#setup.operatorId],
      run_dir: this.#setup.run,
      state_dir: `${this.#setup.run}/state`,
      launcher_socket: `${this.#setup.run}/launcher/launcher.sock`,
      ...(this.notify === undefined ? {} : { notify: this.notify }),
    };
  }

  async startDaemon(): Promise<void> {
    const { bootstrap } = this;
    const { run } = this.#setup;
    const own = `${run}/daemon,${run}/p,${run}/launcher/launcher.sock,${run}/state`;
    const daemon = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-q",
        "--no-prompt",
        "--cached-only",
        "--unstable-no-legacy-abort",
        "--unstable-worker-options",
        "--config",
        `${ROOT}deno.json`,
        "-P=daemon",
        `--allow-read=${own},${run}/recordings,${ROOT}src,${ROOT}deno.json`,
        `--allow-write=${own}`,
        `${ROOT}src/cmd/daemon.ts`,
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: Deno.env.get("BUREAU_TEST_LOG") === undefined ? "null" : "inherit",
    }).spawn();
    const writer = daemon.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(bootstrap)));
    await writer.close();
    const reader = daemon.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await reader.read();
    if (value?.startsWith('{"ready":true') !== true) throw new Error(`not ready: ${value}`);
    reader.cancel().catch(() => {});
    this.daemon = daemon;
  }

  async stopDaemon(signal: Deno.Signal = "SIGKILL"): Promise<Deno.CommandStatus> {
    const { daemon } = this;
    this.daemon = null;
    daemon!.kill(signal);
    return await daemon!.status;
  }

  client(token = this.#setup.operatorToken) {
    return createClient(daemonApi, { socket: `${this.#setup.run}/daemon/daemon.sock`, token });
  }

  async view(account: string, token?: string) {
    const client = this.client(token);
    try {
      return await client.call("show", { params: { principal: account } });
    } finally {
      client.close();
    }
  }

  /** As the machine's own account. */
  machine(): MatrixClient {
    const { homeserver, machineToken: accessToken } = this.#setup;
    return createMatrixClient({ homeserverUrl: homeserver.url, accessToken });
  }

  /** Somebody without rights, in a room. */
  async guest(user: string, room: string): Promise<MatrixClient> {
    const at = { homeserverUrl: this.#setup.homeserver.url };
    const { access_token: accessToken, user_id: id } = await registerWithSharedSecret(
      at,
      { user, password: `password of ${user}` },
      SECRET,
    );
    const client = createMatrixClient({ ...at, accessToken });
    await this.operator.invite(room, id);
    await client.join(room);
    return client;
  }

  async publish(name: string, template: Template): Promise<void> {
    await this.operator.putState(this.#setup.templateRoom, EventType.template, name, template);
  }

  async assign(
    account: string,
    template: Template,
    change: Partial<Assignment> = {},
  ): Promise<Assignment> {
    const localpart = entityLocalpart(FLEET, account);
    const principal = userId(localpart, SERVER_NAME);
    const assignment: Assignment = {
      version: 1,
      principal,
      machine: this.#setup.machine,
      template: "bureau/template:t",
      template_digest: await templateDigest(template),
      desired: "running",
      issued_by: this.#setup.operatorId,
      issued_at: ++this.#issued,
      signature: { key_id: "0000000000000000", value: "checked by the launcher" },
      ...change,
    };
    await this.operator.putState(
      this.#setup.configRoom,
      EventType.assignment,
      `${localpart}:${SERVER_NAME}`,
      assignment,
    );
    return assignment;
  }

  async status(account: string): Promise<Record<string, unknown> | null> {
    const key = `${entityLocalpart(FLEET, account)}:${SERVER_NAME}`;
    return await this.operator.getState(this.#setup.configRoom, EventType.principalStatus, key);
  }

  /** What is told about principals' lives; oldest first. */
  async notices(): Promise<string[]> {
    return (await this.messages())
      .filter(({ content }) =>
        content["msgtype"] === "m.notice" && content["m.bureau.egress_refused"] === undefined
      )
      .map(({ content }) => String(content["body"]));
  }

  /** Of the config room, oldest first. */
  async messages(): Promise<MatrixEvent[]> {
    const { chunk } = await this.operator.messages(this.#setup.configRoom, { limit: 100 });
    return chunk.filter(({ type }) => type === "m.room.message").reverse();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.daemon !== null) await this.stopDaemon();
    await this.launcher.close();
    await this.#setup.homeserver[Symbol.asyncDispose]();
    await Deno.remove(this.#setup.run, { recursive: true });
  }
}
