// SPDX-License-Identifier: Apache-2.0

/** Watching and driving an agent through a whole Bureau, each watcher a real terminal. */
import assert from "node:assert/strict";
import { daemonApi } from "../../src/daemon/api.ts";
import { Incoming } from "../../src/cli/observe/incoming.ts";
import { ObserveStream, type Viewer } from "../../src/cli/observe/stream.ts";
import { createClient, UNIX_HOST } from "../../src/lib/http/mod.ts";
import { OBSERVE_PROTOCOL } from "../../src/observe/api.ts";
import { bureauTemplate, signAssignment } from "../bench/assignments.ts";
import { agentPid, type Bureau, eventually, findProcess, ROOT, withBureau } from "./harness.ts";
import { SCRIBE } from "./matrix.ts";
import { PersonTerminal } from "./terminal.ts";

const HELP = "I know: report (the whole repository), report PATH, help";

/** `bureau observe` in a terminal, between two looks at the terminal's settings. */
async function start(
  bureau: Bureau,
  terminal: PersonTerminal,
  ...args: string[]
): Promise<void> {
  const directories = `--state-dir ${bureau.stateDir} --run-dir ${bureau.runDir}`;
  const command = ["sh tasks/bureau observe", ...args, directories].join(" ");
  await terminal.enter(
    `clear; cd ${ROOT}; before=$(stty -g); ${command}; code=$?; ` +
      `[ "$before" = "$(stty -g)" ] && echo "ended $code, settings kept"`,
  );
}

/** The same with the scribe, up to its first output. */
async function observe(
  bureau: Bureau,
  terminal: PersonTerminal,
  ...flags: string[]
): Promise<void> {
  await start(bureau, terminal, "agent/scribe", ...flags);
  // Drawn by the agent's own terminal, not by the command.
  await terminal.shows(/^(?!.*tasks\/bureau).*\b(listening|Most changed|I know: )/m);
}

/** Waits for the shell, and checks that the terminal is as it was. @returns the last screen */
async function left(terminal: PersonTerminal, reason: RegExp): Promise<string> {
  const screen = await terminal.shows(/^ended \d+, settings kept/m);
  assert.match(screen, reason);
  assert.equal(await terminal.disorder(), "");
  // It is a shell's again: what is typed is shown and run.
  await terminal.enter("echo again-$((6*7))");
  await terminal.shows("again-42");
  return screen;
}

const eventuallyWatchers = (bureau: Bureau, count: number, agent = "agent/scribe") =>
  eventually(`${count} watchers`, async () => {
    const { watchers } = await bureau.json<{ watchers: number }>("agent", "show", agent);
    return watchers === count;
  });

Deno.test("bureau observe shows and drives a running agent, and outlives what may be killed", async (t) => {
  await withBureau(async (bureau) => {
    const step = async (name: string, act: () => Promise<void>) => {
      // A step that fails ends the test, which shows the processes' logs.
      if (!await t.step(name, act)) throw new Error(`"${name}" failed`);
    };
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const agent = await agentPid(bureau);

    await step("it shows the agent's output, and typing drives the agent", async () => {
      await using terminal = await PersonTerminal.open(110, 30);
      await observe(bureau, terminal);
      await terminal.shows(/listening; I know/);
      await eventuallyWatchers(bureau, 1);
      // Nothing but its answer holds this.
      await terminal.enter("report README.md");
      await terminal.shows(/^README\.md: 22 bytes, 3 lines/m);
      await terminal.enter("help");
      await terminal.shows(new RegExp(`^${HELP.replaceAll(/[()]/g, "\\$&")}$`, "m"));
      await terminal.press("C-]", "d");
      assert.match(await left(terminal, /you left with ctrl-\] d/), /^ended 0,/m);
      await eventuallyWatchers(bureau, 0);
      assert.equal(await agentPid(bureau), agent, "the agent lives on");
    });

    await step("--read-only types nothing; without it the same keys arrive", async () => {
      await using reader = await PersonTerminal.open(110, 30);
      await using typist = await PersonTerminal.open(110, 30);
      await observe(bureau, reader, "--read-only");
      await reader.enter("report src/forbidden");
      await observe(bureau, typist);
      await typist.enter("report src/allowed");
      await typist.shows("no such path: src/allowed");
      // Keys keep their order per watcher only, so the reader's get the time of a whole other question.
      await typist.enter("report src");
      const screen = await typist.shows(/^src\/: 1 files/m);
      assert.doesNotMatch(screen, /forbidden/);
      // Two watchers, one screen.
      await eventuallyWatchers(bureau, 2);
      // Without the last row, which is the command's own.
      const below = (text: string) =>
        text.slice(text.indexOf("no such path: src/allowed")).replace(/\n[^\n]*$/, "");
      await eventually("both see the same", async () => {
        const [one, other] = [below(await reader.screen()), below(await typist.screen())];
        if (one !== other) throw new Error(`${one}\n--- and\n${other}`);
        return true;
      });
      for (const terminal of [reader, typist]) {
        await terminal.press("C-]", "d");
        await left(terminal, /you left with ctrl-\] d/);
      }
      await eventuallyWatchers(bureau, 0);
    });

    await step("the agent's terminal follows the size of who types", async () => {
      await bureauTemplate(bureau, "shell", {
        inherits: ["bureau/template:base"],
        command: ["/bin/sh", "-i"],
        restart_policy: "never",
      });
      await (await signAssignment(bureau, "shell", "shell", "running")).put();
      await eventually("the shell runs", async () => {
        const shown = await bureau.cli("agent", "show", "agent/shell", "--json");
        return shown.code === 0 && JSON.parse(shown.stdout).phase === "running";
      });
      await using terminal = await PersonTerminal.open(110, 30);
      await start(bureau, terminal, "agent/shell");
      await eventuallyWatchers(bureau, 1, "agent/shell");
      for (const [cols, rows] of [[110, 30], [71, 19], [140, 44]] as const) {
        await terminal.resize(cols, rows);
        // Asked by the program itself, as often as it takes for the news to come.
        await eventually(`the program sees ${cols}x${rows}`, async () => {
          await terminal.enter("clear; echo size-$(stty size | tr ' ' x).");
          await terminal.shows(`size-${rows - 1}x${cols}.`, 500);
          return true;
        });
      }
      // The end of the program ends the watching.
      await terminal.enter("exit 3");
      await left(terminal, /left bureau\/fleet\/dev\/agent\/shell: the program ended/);
      await (await signAssignment(bureau, "shell", "shell", "absent")).put();
    });

    await step(
      "SIGKILL of the daemon: the same observation goes on, no byte is lost or doubled",
      async () => {
        await using terminal = await PersonTerminal.open(110, 30);
        await observe(bureau, terminal);
        await using collector = await Collector.begin(bureau);
        for (let round = 0; round < 2; round++) {
          const daemon = (await findProcess(
            bureau,
            (line) => line.includes(`${bureau.stateDir}/runtime/daemon.js`),
          ))!;
          await terminal.enter(`report src/a.ts`);
          Deno.kill(daemon, "SIGKILL");
          await terminal.shows(/no connection: .*; trying again/);
          // What the agent writes meanwhile is there afterwards.
          await terminal.shows(/type to take the keyboard/, 60_000);
          // A key that was on its way may be lost, and with it the end of that line.
          await terminal.press("Enter");
          await terminal.enter(`report src/a${round}`);
          await terminal.shows(`no such path: src/a${round}`);
        }
        assert.doesNotMatch(await terminal.screen(), /GAP/);
        await collector.sees("no such path: src/a1");
        await collector.compare();
        await terminal.press("C-]", "d");
        await left(terminal, /you left with ctrl-\] d/);
        assert.equal(await agentPid(bureau), agent, "the agent lived on");
      },
    );

    await step(
      "SIGKILL of the relay is told as a gap, and the same observation goes on",
      async () => {
        await using terminal = await PersonTerminal.open(110, 30);
        await observe(bureau, terminal);
        const relay = (await findProcess(
          bureau,
          (line) => /^\/opt\/bureau\/deno .*relay\.js/.test(line),
        ))!;
        assert.ok(relay, "the relay runs");
        Deno.kill(relay, "SIGKILL");
        await terminal.shows(/GAP: some output not shown/, 60_000);
        await terminal.enter("report src/b");
        await terminal.shows("no such path: src/b");
        await terminal.press("C-]", "d");
        await left(terminal, /you left with ctrl-\] d/);
        assert.equal(await agentPid(bureau), agent, "the agent lived on");
        await eventuallyWatchers(bureau, 0);
      },
    );

    await step("who has no right is told nothing, who has no token even less", async () => {
      await checkRefusals(bureau);
    });
  });
});

/** Reads the scribe's stream as `observe` does, and keeps all of it. */
class Collector implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #stream: ObserveStream;
  readonly #client;
  #running: Promise<unknown> = Promise.resolve();
  #begin = 0;
  #gaps = 0;
  bytes: number[] = [];

  private constructor(bureau: Bureau, token: string, resume?: { stream: string; offset: number }) {
    this.#client = createClient(daemonApi, {
      socket: `${bureau.runDir}/daemon/daemon.sock`,
      token,
    });
    const none = () => {};
    const viewer: Viewer = {
      metadata: ({ offset }) => void (this.bytes.length === 0 && (this.#begin = offset)),
      output: (bytes) => void this.bytes.push(...bytes),
      gap: () => void this.#gaps++,
      ...{ snapshot: none, size: none, people: none, mode: none, bell: none, title: none },
      ...{ screen: none, lost: none },
    };
    this.#stream = new ObserveStream(viewer, {
      mode: "readonly",
      size: () => ({ cols: 80, rows: 24 }),
      connect: (query) => this.#connect({ ...query, ...(resume ?? {}) }),
      over: () => Promise.resolve(null),
      signal: this.#stop.signal,
    });
    this.bureau = bureau;
    this.token = token;
  }

  readonly bureau: Bureau;
  readonly token: string;

  static async begin(
    bureau: Bureau,
    resume?: { stream: string; offset: number },
  ): Promise<Collector> {
    const session = JSON.parse(
      await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
    ) as { access_token: string };
    const collector = new Collector(bureau, session.access_token, resume);
    const query = { ...collector.#stream.query(), ...(resume ?? {}) };
    const first = collector.#connect({
      ...query,
      ...(resume ? { offset: String(resume.offset) } : {}),
    });
    collector.#running = collector.#stream.run(first);
    await eventually(
      "the collector is there",
      () => Promise.resolve(collector.#stream.position.stream !== null),
    );
    return collector;
  }

  #connect(query: Record<string, unknown>): Incoming {
    const socket = this.#client.websocket("observe", {
      params: { principal: SCRIBE },
      query: Object.fromEntries(
        Object.entries(query).map(([name, value]) => [name, String(value)]),
      ),
      protocol: OBSERVE_PROTOCOL,
    });
    return new Incoming(socket);
  }

  async sees(text: string): Promise<void> {
    await eventually(
      `the stream has "${text}"`,
      () => Promise.resolve(new TextDecoder().decode(new Uint8Array(this.bytes)).includes(text)),
    );
  }

  /** What came in parts, over several connections, is what a new one gets in one. */
  async compare(): Promise<void> {
    const { stream, offset } = this.#stream.position;
    assert.equal(this.#gaps, 0);
    assert.equal(this.bytes.length, offset - this.#begin);
    await using whole = await Collector.begin(this.bureau, {
      stream: stream!,
      offset: this.#begin,
    });
    await eventually(
      "the whole is there",
      () => Promise.resolve(whole.bytes.length >= this.bytes.length),
    );
    assert.ok(this.bytes.every((byte, at) => byte === whole.bytes[at]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#client.close();
  }
}

async function checkRefusals(bureau: Bureau): Promise<void> {
  const stranger = await bureau.stranger("mallory");
  const operator = JSON.parse(
    await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
  ) as { access_token: string };
  const socket = `${bureau.runDir}/daemon/daemon.sock`;
  const http = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  const ask = async (path: string, token?: string) => {
    const response = await fetch(`http://${UNIX_HOST}${path}`, {
      client: http,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    return { status: response.status, text: await response.text() };
  };
  try {
    const of = (name: string) => `/v1/principals/${encodeURIComponent(name)}`;
    for (const path of [of(SCRIBE), `${of(SCRIBE)}/observe?mode=readonly`]) {
      const refused = await ask(path, stranger.token);
      assert.equal(refused.status, 404, path);
      // The same words as for what is not there at all.
      const absent = await ask(path.replace("scribe", "nobody"), stranger.token);
      assert.equal(absent.status, 404);
      assert.equal(refused.text.replaceAll("scribe", "nobody"), absent.text);
      assert.equal((await ask(path)).status, 401, path);
      assert.equal((await ask(path, "syt_forged")).status, 401, path);
    }
    // The control: the operator is answered.
    assert.equal((await ask(of(SCRIBE), operator.access_token)).status, 200);
    const plain = await ask(`${of(SCRIBE)}/observe?mode=readonly`, operator.access_token);
    assert.equal(plain.status, 426, plain.text);
  } finally {
    http.close();
  }
  const opens = async (token: string) => {
    const client = createClient(daemonApi, { socket, token });
    try {
      const watcher = client.websocket("observe", { params: { principal: SCRIBE } });
      const opened = await new Promise<boolean>((resolve) => {
        watcher.onopen = () => resolve(true);
        watcher.onerror = () => resolve(false);
      });
      if (opened) {
        const closed = new Promise((resolve) => watcher.onclose = resolve);
        watcher.close();
        await closed;
      }
      return opened;
    } finally {
      client.close();
    }
  };
  assert.equal(await opens(stranger.token), false);
  assert.equal(await opens(operator.access_token), true);
  const listed = createClient(daemonApi, { socket, token: stranger.token });
  try {
    assert.deepEqual(await listed.call("list"), { principals: [] });
  } finally {
    listed.close();
  }
}
