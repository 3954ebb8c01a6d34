// SPDX-License-Identifier: Apache-2.0

/** For tests: a daemon's socket that leads to a real relay and a real tmux session, and a person's terminal. */
import { daemonApi, type PrincipalView } from "../../../daemon/api.ts";
import { joinRelay } from "../../../daemon/observe.ts";
import { createHandler, type Handlers, HttpApiError, listenUnix } from "../../../lib/http/mod.ts";
import { createLogger } from "../../../lib/log.ts";
import { bootstrap, TmuxServer, until } from "../../../observe/_session.ts";
import { Relay } from "../../../observe/relay.ts";

const ROOT = new URL("../../../../", import.meta.url).pathname;
export const SCRIBE = "bureau/fleet/dev/agent/scribe";

const VIEW: PrincipalView = {
  principal: SCRIBE,
  user_id: `@${SCRIBE}:bureau.local`,
  template: "bureau/template:scribe",
  desired: "running",
  phase: "running",
  since: 0,
  restarts: 0,
  exit_code: null,
  message: null,
  hint: null,
  room: null,
  watchers: 0,
  egress: { allowed: 0, refused: 0, bytes: 0 },
};

export class FakeDaemon implements AsyncDisposable {
  relay!: Relay;
  phase: PrincipalView["phase"] = "running";
  /** Of each request to watch. */
  readonly queries: URLSearchParams[] = [];
  readonly #connections = new Set<Deno.UnixConn>();
  #server!: Deno.HttpServer;
  #front: Deno.UnixListener | null = null;
  #watching: Deno.UnixConn | null = null;

  private constructor(readonly dir: string, readonly tmux: TmuxServer) {}

  static async start(tmux: TmuxServer): Promise<FakeDaemon> {
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
    await Deno.mkdir(`${dir}/s/operator`, { recursive: true });
    await Deno.mkdir(`${dir}/r/daemon`, { recursive: true });
    const session = {
      version: 1,
      homeserver_url: "http://127.0.0.1:1",
      user_id: "@operator:bureau.local",
      access_token: "token",
      password: "password",
      server_name: "bureau.local",
      namespace: "bureau",
      fleet: "bureau/fleet/dev",
      machine: "bureau/fleet/dev/machine/m",
    };
    await Deno.writeTextFile(`${dir}/s/operator/session.json`, JSON.stringify(session));
    const daemon = new FakeDaemon(dir, tmux);
    await daemon.startRelay();
    daemon.#server = await listenUnix(`${dir}/behind.sock`, daemon.#handler());
    daemon.listen();
    return daemon;
  }

  async startRelay(): Promise<void> {
    this.relay = new Relay({
      bootstrap: bootstrap(),
      socket: `${this.dir}/relay.sock`,
      tmuxSocket: this.tmux.socket,
    });
    await this.relay.listen();
  }

  async stopRelay(): Promise<void> {
    this.relay.close();
    await this.relay.finished();
  }

  #handler() {
    const none = () => {
      throw new HttpApiError("not-found", "Cannot find it", { status: 404 });
    };
    return createHandler(daemonApi, {
      ...Object.fromEntries(
        Object.keys(daemonApi.routes).map((name) => [name, none]),
      ) as unknown as Handlers<typeof daemonApi>,
      health: () => ({ status: "ok" }),
      list: () => ({ principals: [{ ...VIEW, phase: this.phase }] }),
      show: ({ params }) =>
        params["principal"] === SCRIBE ? { ...VIEW, phase: this.phase } : none(),
      observe: ({ request, query }) => {
        this.queries.push(query);
        return joinRelay({
          request,
          who: "@operator:bureau.local",
          asked: query.get("mode") === "readwrite" ? "readwrite" : "readonly",
          relaySocket: `${this.dir}/relay.sock`,
          log: createLogger("test", {}, () => {}),
          mayNow: () => "readwrite",
          onStart: () => () => {},
        });
      },
    });
  }

  /** Connections go through here, so that they can be cut as when a daemon is killed. */
  listen(): void {
    const path = `${this.dir}/r/daemon/daemon.sock`;
    try {
      Deno.removeSync(path);
    } catch {
      // The first time.
    }
    const listener = Deno.listen({ transport: "unix", path });
    this.#front = listener;
    void (async () => {
      for await (const connection of listener) void this.#forward(connection);
    })().catch(() => {});
  }

  async #forward(connection: Deno.UnixConn): Promise<void> {
    const behind = await Deno.connect({ transport: "unix", path: `${this.dir}/behind.sock` });
    this.#connections.add(connection).add(behind);
    // Cut while this one was being made.
    if (this.#front === null) this.cut();
    const quiet = () => {};
    await Promise.race([
      connection.readable.pipeTo(behind.writable).catch(quiet),
      behind.readable.pipeThrough(this.#watchedBy(connection)).pipeTo(connection.writable)
        .catch(quiet),
    ]);
    for (const end of [connection, behind]) {
      this.#connections.delete(end);
      close(end);
    }
  }

  /** Notes when a connection has become a WebSocket and has carried a frame. */
  #watchedBy(connection: Deno.UnixConn) {
    let head = "";
    return new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (bytes, controller) => {
        controller.enqueue(bytes);
        if (head.length < 4096) head += String.fromCharCode(...bytes);
        if (/^HTTP\/1.1 101 [^]*\r\n\r\n[^]/.test(head)) this.#watching = connection;
      },
    });
  }

  /**
   * Resolves when somebody watches on a connection that was not cut yet. One that is cut in the midst of its handshake is
   * never closed by Deno's server, for which its end would wait.
   */
  async watched(): Promise<void> {
    await until(
      "somebody watches",
      () => this.#watching !== null && this.#connections.has(this.#watching),
    );
  }

  /** Every connection ends in the midst of whatever it carries. */
  cut(): void {
    for (const connection of this.#connections) close(connection);
    this.#connections.clear();
  }

  /** As when the daemon is gone. */
  stopListening(): void {
    this.#front?.close();
    this.#front = null;
    this.cut();
  }

  /** Words of a shell. */
  command(...args: string[]): string {
    const words = [
      Deno.execPath(),
      ...["run", "--quiet", "--no-prompt", "--no-check", `--config=${ROOT}deno.json`],
      ...["--allow-read", "--allow-write", "--allow-net", "--allow-env"],
      `${ROOT}src/cmd/bureau.ts`,
      ...[
        "--state-dir",
        `${this.dir}/s`,
        "--run-dir",
        `${this.dir}/r`,
        "observe",
        "scribe",
        ...args,
      ],
    ];
    return words.map((word) => `'${word}'`).join(" ");
  }

  async run(...args: string[]): Promise<{ code: number; text: string; error: string }> {
    const { code, stdout, stderr } = await new Deno.Command("/bin/sh", {
      args: ["-c", this.command(...args)],
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return { code, text: decoder.decode(stdout), error: decoder.decode(stderr) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopListening();
    await this.stopRelay();
    await this.#server.shutdown();
    await Deno.remove(this.dir, { recursive: true });
  }
}

function close(connection: Deno.UnixConn): void {
  try {
    connection.close();
  } catch {
    // It ended by itself.
  }
}

/** A person's terminal: a shell in a tmux of its own, with the look of the agent's screen in it. */
export class Person implements AsyncDisposable {
  private constructor(readonly tmux: TmuxServer) {}

  static async sit(cols: number, rows: number): Promise<Person> {
    const tmux = await TmuxServer.start(["env", "PS1=$ ", "ENV=", "/bin/sh"], [
      `set -g default-size ${cols}x${rows}`,
      "",
    ]);
    const person = new Person(tmux);
    await person.resize(cols, rows);
    return person;
  }

  async resize(cols: number, rows: number): Promise<void> {
    await this.tmux.tmux("resize-window", "-t", "=agent:", "-x", String(cols), "-y", String(rows));
  }

  screen(): Promise<string> {
    return this.tmux.screen();
  }

  async type(text: string): Promise<void> {
    await this.tmux.tmux("send-keys", "-t", "=agent:", "-l", text);
  }

  async press(...keys: string[]): Promise<void> {
    await this.tmux.tmux("send-keys", "-t", "=agent:", ...keys);
  }

  async enter(text: string): Promise<void> {
    await this.type(text);
    await this.press("Enter");
  }

  /** Runs it between two looks at the terminal's settings. */
  async start(command: string): Promise<void> {
    await this.tmux.tmux("set-environment", "-g", "NO_COLOR", "1");
    const file = `${this.tmux.directory}/run`;
    await Deno.writeTextFile(
      file,
      // tmux's own environment has none of these, and Deno finds its packages by them.
      ["HOME", "DENO_DIR"].map((name) => [name, Deno.env.get(name)] as const)
        .map(([name, value]) => value === undefined ? "" : `export ${name}='${value}'\n`).join("") +
        `before=$(stty -g); ${command} & pid=$!; echo "$pid" >${this.tmux.directory}/pid; fg >/dev/null; code=$?; ` +
        `[ "$before" = "$(stty -g)" ] && echo "ended $code, settings kept"\n`,
    );
    await this.enter(`clear; set -m; . ${file}`);
  }

  async pid(): Promise<number> {
    return Number(await Deno.readTextFile(`${this.tmux.directory}/pid`));
  }

  /** Types it again and again, until it shows: what is typed while there is no connection is dropped. */
  async insists(text: string, wanted: string): Promise<void> {
    let next = 0;
    await until(`it shows ${wanted}`, async () => {
      if (Date.now() > next) {
        await this.enter(text);
        next = Date.now() + 3_000;
      }
      return (await this.screen()).includes(wanted);
    });
  }

  async shows(wanted: string | RegExp): Promise<string> {
    let last = "";
    await until(`it shows ${wanted}`, async () => {
      last = await this.screen();
      return typeof wanted === "string" ? last.includes(wanted) : wanted.test(last);
    }).catch((thrown) => {
      throw new Error(`${thrown}; it shows:\n${last}`);
    });
    return last;
  }

  /** Waits for the shell. @returns the exit status and the screen */
  async left(): Promise<{ code: number; screen: string }> {
    const screen = await this.shows(/^ended \d+, settings kept/m);
    const format = "#{?alternate_on,alternate-screen ,}#{?cursor_flag,,no-cursor }" +
      "#{?mouse_any_flag,mouse ,}#{?keypad_flag,keypad ,}#{?keypad_cursor_flag,cursor-keys ,}" +
      "#{?bracket_paste_flag,paste ,}#{?wrap_flag,,no-wrap }";
    const disorder = await this.tmux.tmux("display-message", "-p", "-t", "=agent:", format);
    if (disorder.trim() !== "") throw new Error(`the terminal is in disorder: ${disorder}`);
    return { code: Number(/^ended (\d+),/m.exec(screen)![1]), screen };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tmux[Symbol.asyncDispose]();
  }
}
