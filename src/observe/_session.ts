// SPDX-License-Identifier: Apache-2.0

/** A tmux server of a test's own, a relay in front of it, and watchers of that relay. */
import { TerminalFilter } from "../lib/terminal/mod.ts";
import type { ObserveDown, RelayBootstrap } from "./api.ts";
import { OBSERVE_PROTOCOL } from "./constants.ts";
import { type BinaryFrame, decodeFrame, encodeFrame } from "./wire.ts";

const decoder = new TextDecoder();

export async function until(what: string, check: () => unknown, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!await check()) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The options that matter here of what the launcher gives a principal's server. */
const CONFIGURATION = [
  "set -g remain-on-exit on",
  "set -g status off",
  "set -g prefix None",
  "set -g prefix2 None",
  "set -g window-size latest",
  "unbind -a",
  "unbind -a -T root",
  "",
];

/** A shell's loop that draws whole screens, which tmux cannot make less of as it can of lines that scroll. */
export const BUSY_SCREEN = `a=${"0123456789".repeat(280)}; b=${"abcdefghij".repeat(280)}; ` +
  "while :; do printf '\\033[H%s' $a; sleep 0.005; printf '\\033[H%s' $b; sleep 0.005; done";

export class TmuxServer implements AsyncDisposable {
  readonly directory: string;
  readonly socket: string;

  private constructor(directory: string) {
    this.directory = directory;
    this.socket = `${directory}/tmux.sock`;
  }

  static async start(command: readonly string[], configuration = CONFIGURATION) {
    const server = new TmuxServer(await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" }));
    const file = `${server.directory}/tmux.conf`;
    await Deno.writeTextFile(file, configuration.join("\n"));
    const size = ["-x", "100", "-y", "30"];
    await server.tmux("-f", file, "new-session", "-d", "-s", "agent", ...size, "--", ...command);
    return server;
  }

  async tmux(...args: string[]): Promise<string> {
    return (await this.raw(...args)).trimEnd();
  }

  /** With the blanks at its end. */
  async raw(...args: string[]): Promise<string> {
    const { success, stdout, stderr } = await new Deno.Command("/usr/bin/tmux", {
      args: ["-S", this.socket, ...args],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", TERM: "screen-256color", PS1: "$ " },
    }).output();
    if (!success) throw new Error(`tmux ${args[0]}: ${decoder.decode(stderr)}`);
    return decoder.decode(stdout);
  }

  screen(): Promise<string> {
    return this.tmux("capture-pane", "-p", "-t", "=agent:");
  }

  size(): Promise<string> {
    return this.tmux("display-message", "-p", "-t", "=agent:", "#{window_width}x#{window_height}");
  }

  async clients(): Promise<number> {
    return (await this.tmux("list-clients")).split("\n").filter(Boolean).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.tmux("kill-server").catch(() => {});
    await until("the tmux server is gone", async () => {
      const there = await this.tmux("list-sessions").then(() => true, () => false);
      return !there;
    });
    await Deno.remove(this.directory, { recursive: true });
  }
}

export function bootstrap(): RelayBootstrap {
  return {
    version: 1,
    principal: "bureau/fleet/dev/agent/scribe",
    machine: "@bureau/fleet/dev/machine/m:bureau.local",
    session: "agent",
  };
}

export class TestWatcher implements AsyncDisposable {
  readonly frames: ObserveDown[] = [];
  readonly kinds: string[] = [];
  readonly closed: Promise<void>;
  /** Everything drawn so far, as sent. */
  output = "";
  /** Terminal bytes so far, as they are acknowledged. */
  bytes = 0;
  /** Offset of the next byte of the stream. */
  offset = 0;
  /** Each frame that draws, in order with the changes of size. */
  onDrawn: (frame: BinaryFrame | { kind: "size"; cols: number; rows: number }) => void = () => {};
  #disposed = false;
  readonly #socket: WebSocket;
  readonly #client: Deno.HttpClient;

  private constructor(socket: WebSocket, client: Deno.HttpClient) {
    this.#socket = socket;
    this.#client = client;
    socket.binaryType = "arraybuffer";
    this.closed = new Promise((resolve) => socket.onclose = () => resolve());
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") {
        const frame = JSON.parse(data) as ObserveDown;
        this.frames.push(frame);
        this.kinds.push(frame.type);
        if (frame.type === "metadata") this.offset = frame.offset;
        if (frame.type === "size") {
          this.onDrawn({ kind: "size", cols: frame.cols, rows: frame.rows });
        }
        return;
      }
      const frame = decodeFrame(data)!;
      if (this.kinds.at(-1) !== frame.kind) this.kinds.push(frame.kind);
      this.bytes += frame.bytes.length;
      this.output = (this.output + decoder.decode(frame.bytes)).slice(-1_000_000);
      if (frame.kind === "snapshot") this.offset = frame.offset;
      else if (frame.kind !== "input") this.offset = frame.offset + frame.bytes.length;
      this.onDrawn(frame);
    };
  }

  /** @param onMade before the first frame can come */
  static async attach(
    relaySocket: string,
    query: Record<string, string>,
    onMade?: (watcher: TestWatcher) => void,
  ): Promise<TestWatcher> {
    const client = Deno.createHttpClient({ proxy: { transport: "unix", path: relaySocket } });
    const socket = new WebSocket(
      `ws://192.0.2.1/v1/attach?${new URLSearchParams(query)}`,
      { client, protocols: [OBSERVE_PROTOCOL] },
    );
    const watcher = new TestWatcher(socket, client);
    onMade?.(watcher);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = (event) => reject(new Error(String((event as ErrorEvent).message)));
    });
    return watcher;
  }

  type(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.#socket.send(encodeFrame({ kind: "input", bytes }));
  }

  /** As it is, whatever it is. */
  sendBytes(bytes: Uint8Array<ArrayBuffer>): void {
    this.#socket.send(bytes);
  }

  /** The last frame of that type. */
  last<Type extends ObserveDown["type"]>(
    type: Type,
  ): Extract<ObserveDown, { type: Type }> | undefined {
    return this.frames.findLast((frame) => frame.type === type) as never;
  }

  send(frame: unknown): void {
    this.#socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  /** Whether a second filter finds nothing to take away. */
  get isClean(): boolean {
    const bytes = new TextEncoder().encode(this.output);
    return decoder.decode(new TerminalFilter().push(bytes)) === this.output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#socket.close();
    await this.closed;
    this.#client.close();
  }
}
