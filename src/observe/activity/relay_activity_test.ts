// SPDX-License-Identifier: Apache-2.0

/** What a relay, in its cell, tells of real programs in a real tmux session. */
import assert from "node:assert/strict";
import { TestWatcher, until } from "../_session.ts";
import { PaneServer, RelayCell } from "../testing/cell.ts";
import type { ActivityFrame } from "./activity.ts";

class Listener implements AsyncDisposable {
  readonly frames: ActivityFrame[] = [];
  readonly #socket: WebSocket;
  readonly #client: Deno.HttpClient;
  readonly #closed: Promise<void>;

  private constructor(path: string) {
    this.#client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
    this.#socket = new WebSocket("ws://192.0.2.1/v1/activity", { client: this.#client });
    this.#closed = new Promise((resolve) => this.#socket.onclose = () => resolve());
    this.#socket.onmessage = ({ data }) => this.frames.push(JSON.parse(data));
  }

  static async open(path: string): Promise<Listener> {
    const listener = new Listener(path);
    await until("the first frame", () => listener.frames.length > 0);
    return listener;
  }

  get last(): ActivityFrame {
    return this.frames.at(-1)!;
  }

  send(frame: unknown): void {
    this.#socket.send(JSON.stringify(frame));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#closed;
    this.#client.close();
  }
}

Deno.test("a relay tells what its terminal asks, rings and shows, and what is typed there", async () => {
  await using server = await PaneServer.start(["/usr/bin/env", "PS1=$ ", "/bin/sh"]);
  await using relay = await RelayCell.start(server.dir);
  await using listener = await Listener.open(relay.socket);
  const looks = (wanted: string) =>
    until(wanted, () => {
      const { looks } = listener.last;
      return looks !== null && `${looks.kind} ${looks.means} ${looks.line}` === wanted;
    });
  await looks("shell idle $");
  await using typist = await TestWatcher.attach(relay.socket, {
    mode: "readwrite",
    cols: "90",
    rows: "20",
  });
  typist.type("printf 'Overwrite %s? [y/N] ' a.txt; read answer; echo answered $answer\r");
  await looks("generic waiting Overwrite a.txt? [y/N]");
  assert.equal(listener.last.quiet, true);
  assert.equal(listener.last.last_line, "Overwrite a.txt? [y/N]");
  const asked = listener.last;
  assert.ok(asked.looks!.since <= asked.at && asked.last_output! <= asked.at);
  typist.type("y\r");
  await until("it was answered", () => listener.last.last_line === "answered y");
  assert.ok(listener.last.typed! >= asked.typed!);
  await looks("shell idle $");

  // Nobody types there for long enough to be the reason of a bell.
  typist.type("sleep 4; printf 'done\\a\\n'; sleep 600\r");
  await until("the bell", () => listener.last.bell !== null);
  await until("what came with it", () => listener.last.last_line === "done");

  typist.type("\x03");
  typist.type("clear; seq 1 200 | LESS= less\r");
  await until(
    "another screen",
    () => /^\d+$/.test(listener.last.last_line),
  );
  typist.type("q");
  listener.send({ type: "watch", waiting: ["^PICK ONE"] });
  typist.type("clear; echo PICK 'ONE of'; echo these; sleep 600\r");
  await looks("template waiting PICK ONE of");
});

Deno.test("an agent that floods its terminal is told of once a second at most", async () => {
  await using server = await PaneServer.start(["/bin/sh", "-c", "sleep 1; exec yes"]);
  await using relay = await RelayCell.start(server.dir);
  await using listener = await Listener.open(relay.socket);
  await until("it writes", () => listener.last.last_line === "y" && !listener.last.quiet);
  const { length } = listener.frames;
  const begin = performance.now();
  await using watcher = await TestWatcher.attach(relay.socket, {
    mode: "readonly",
    cols: "80",
    rows: "24",
  });
  await until("much of it", () => watcher.bytes > 1_000_000);
  const seconds = (performance.now() - begin) / 1000;
  assert.ok(listener.frames.length - length <= seconds + 2, `${listener.frames.length}`);
});
