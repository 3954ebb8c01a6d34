// SPDX-License-Identifier: Apache-2.0

/** The command on a real terminal (made by `script`), a daemon's socket that leads to a real tmux session. */
import assert from "node:assert/strict";
import { daemonApi, type PrincipalView } from "../../daemon/api.ts";
import { createHandler, type Handlers, HttpApiError, listenUnix } from "../../lib/http/mod.ts";
import { joinRelay } from "../../daemon/observe.ts";
import { createLogger } from "../../lib/log.ts";
import { bootstrap, TmuxServer, until } from "../../observe/_session.ts";
import { Relay } from "../../observe/relay.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;
const SCRIBE = "bureau/fleet/dev/agent/scribe";

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

class FakeDaemon implements AsyncDisposable {
  /** Ends what everybody watches. */
  readonly relay: Relay;

  private constructor(readonly dir: string, readonly tmux: TmuxServer) {
    this.relay = new Relay({
      bootstrap: bootstrap(),
      socket: `${dir}/relay.sock`,
      tmuxSocket: tmux.socket,
    });
  }

  server!: Deno.HttpServer;

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
    await daemon.relay.listen();
    daemon.server = await listenUnix(`${dir}/r/daemon/daemon.sock`, daemon.#handler());
    return daemon;
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
      list: () => ({ principals: [VIEW] }),
      show: ({ params }) => params["principal"] === SCRIBE ? VIEW : none(),
      observe: ({ request, query }) =>
        joinRelay({
          request,
          who: "@operator:bureau.local",
          asked: query.get("mode") === "readwrite" ? "readwrite" : "readonly",
          relaySocket: `${this.dir}/relay.sock`,
          log: createLogger("test", {}, () => {}),
          mayNow: () => "readwrite",
          onStart: () => () => {},
        }),
    });
  }

  command(...args: string[]): string[] {
    return [
      Deno.execPath(),
      ...["run", "--quiet", "--no-prompt", "--cached-only", `--config=${ROOT}deno.json`],
      ...["--allow-read", "--allow-write", "--allow-net", "--allow-env"],
      `${ROOT}src/cmd/bureau.ts`,
      ...["--state-dir", `${this.dir}/s`, "--run-dir", `${this.dir}/r`],
      ...["observe", "scribe", ...args],
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.relay.close();
    await this.relay.finished();
    await this.server.shutdown();
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** `command` on a terminal of its own, whose settings are printed before and after. */
class Screen implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #keys: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  output = "";

  constructor(command: readonly string[]) {
    const quoted = command.map((word) => `'${word}'`).join(" ");
    const script =
      `stty cols 90 rows 25; stty -g; ${quoted} & echo "pid=$!."; fg >/dev/null; echo "status=$?."; stty -g; echo "the end"`;
    this.#process = new Deno.Command("/usr/bin/script", {
      args: [
        "--quiet",
        "--flush",
        "--command",
        `bash -mc '${script.replaceAll("'", `'\\''`)}'`,
        "/dev/null",
      ],
      env: { SHELL: "/bin/sh", TERM: "xterm-256color", NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#keys = this.#process.stdin.getWriter();
    this.#reading = this.#read(this.#process.stdout);
  }

  async #read(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const text of stdout.pipeThrough(new TextDecoderStream())) this.output += text;
  }

  async type(text: string): Promise<void> {
    await this.#keys.write(new TextEncoder().encode(text));
  }

  get pid(): number {
    return Number(/pid=(\d+)\./.exec(this.output)?.[1]);
  }

  /** Waits for the shell's last words. @returns the command's exit status */
  async ended(): Promise<number> {
    await until("the shell is back", () => this.output.includes("the end"));
    const settings = this.output.match(/^[0-9a-f]+(:[0-9a-f]+){10,}/gm)!;
    assert.equal(settings.length, 2, this.output);
    assert.equal(settings[0], settings[1], "the terminal's settings are as they were");
    const after = this.output.slice(this.output.lastIndexOf("\x1b[?1049h"));
    assert.ok(after.includes("\x1b[?1049l"), "the alternate screen is left");
    assert.ok(after.includes("\x1b[?25h"), "the cursor is shown");
    return Number(/status=(\d+)\./.exec(this.output)![1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It ended by itself.
    }
    await this.#process.status;
    await this.#reading;
  }
}

Deno.test("observe shows and drives the agent's terminal, and ctrl-] leaves it running", async () => {
  await using tmux = await TmuxServer.start(["sh"]);
  await using daemon = await FakeDaemon.start(tmux);
  await using screen = new Screen(daemon.command());
  await until("it says how to leave", () => screen.output.includes("ctrl-] leaves"));
  await until("it has this terminal's size", async () => await tmux.size() === "90x25");
  await screen.type("echo x-$((40+2))\r");
  await until("it shows what was typed", () => screen.output.includes("x-42"));
  // ctrl-c is the agent's, not ours.
  await screen.type("sleep 1000\r");
  await until(
    "it runs",
    async () => (await tmux.tmux("list-panes", "-F", "#{pane_current_command}")) === "sleep",
  );
  await screen.type("\x03");
  await until(
    "it was interrupted",
    async () => (await tmux.tmux("list-panes", "-F", "#{pane_current_command}")) !== "sleep",
  );
  await screen.type("\x1d");
  assert.equal(await screen.ended(), 0);
  assert.match(screen.output, /you left with ctrl-\]/);
  assert.equal(await tmux.tmux("list-panes", "-F", "#{pane_dead}"), "0");
});

Deno.test("observe puts the terminal back when the session ends, the relay goes, or a signal comes", async () => {
  const ends: Record<string, (screen: Screen, tmux: TmuxServer, daemon: FakeDaemon) => unknown> = {
    session: (_screen, tmux) => tmux.tmux("kill-server"),
    relay: (_screen, _tmux, daemon) => daemon.relay.close(),
    SIGTERM: (screen) => Deno.kill(screen.pid, "SIGTERM"),
    SIGHUP: (screen) => Deno.kill(screen.pid, "SIGHUP"),
  };
  for (const [name, end] of Object.entries(ends)) {
    const tmux = await TmuxServer.start(["cat"]);
    try {
      await using daemon = await FakeDaemon.start(tmux);
      await using screen = new Screen(daemon.command());
      await until("it is drawn", () => screen.output.includes("\x1b[?1049h"));
      await end(screen, tmux, daemon);
      assert.equal(await screen.ended(), 0, name);
      assert.match(screen.output, /left bureau\/fleet\/dev\/agent\/scribe: /);
    } finally {
      await tmux[Symbol.asyncDispose]();
    }
  }
});

Deno.test("observe --read-only types nothing, and --dump prints the screen without a terminal", async () => {
  await using tmux = await TmuxServer.start(["cat"]);
  await using daemon = await FakeDaemon.start(tmux);
  {
    await using screen = new Screen(daemon.command("--read-only"));
    await until("it is drawn", () => screen.output.includes("\x1b[?1049h"));
    await screen.type("forbidden\r\x1d");
    assert.equal(await screen.ended(), 0);
  }
  await tmux.tmux("send-keys", "-t", "=agent:", "allowed", "Enter");
  await until("the control arrives", async () => (await tmux.screen()).includes("allowed"));
  assert.doesNotMatch(await tmux.screen(), /forbidden/);
  const run = async (...args: string[]) => {
    const [program, ...rest] = daemon.command(...args);
    const { code, stdout, stderr } = await new Deno.Command(program!, { args: rest, stdin: "null" })
      .output();
    return {
      code,
      text: new TextDecoder().decode(stdout),
      error: new TextDecoder().decode(stderr),
    };
  };
  assert.deepEqual(await run("--dump"), { code: 0, text: "allowed\nallowed\n", error: "" });
  const json = await run("--dump", "--json");
  assert.deepEqual(JSON.parse(json.text), { principal: SCRIBE, lines: ["allowed", "allowed"] });
});
