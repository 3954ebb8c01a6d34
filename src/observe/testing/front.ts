// SPDX-License-Identifier: Apache-2.0

/** A relay in this process, the daemon's way in before it, and a connection that breaks. */
import { joinRelay } from "../../daemon/observe.ts";
import { listenUnix } from "../../lib/http/mod.ts";
import { createLogger } from "../../lib/log.ts";
import type { ObserveMode } from "../api.ts";
import { bootstrap, TestWatcher, type TmuxServer } from "../_session.ts";
import { Relay } from "../relay.ts";
import type { MakeTap } from "../tap.ts";

export class Running implements AsyncDisposable {
  readonly relay: Relay;
  readonly finished: Promise<void>;
  readonly socket: string;

  private constructor(relay: Relay, socket: string) {
    this.relay = relay;
    this.socket = socket;
    this.finished = relay.finished();
  }

  static async start(tmux: TmuxServer, taps: readonly MakeTap[] = []): Promise<Running> {
    const socket = `${tmux.directory}/relay.sock`;
    const relay = new Relay({ bootstrap: bootstrap(), socket, tmuxSocket: tmux.socket, taps });
    await relay.listen();
    return new Running(relay, socket);
  }

  attach(
    mode: ObserveMode,
    cols = 100,
    rows = 30,
    more: Record<string, string> = {},
    onMade?: (watcher: TestWatcher) => void,
  ): Promise<TestWatcher> {
    const query = { mode, cols: String(cols), rows: String(rows), ...more };
    return TestWatcher.attach(this.socket, query, onMade);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.relay.close();
    await this.finished;
  }
}

/** As the daemon has it, for whoever connects: what they may do is `may`. */
export class Front implements AsyncDisposable {
  may: ObserveMode | null = "readwrite";
  /** Modes begun and ended. */
  readonly began: ObserveMode[] = [];
  ended = 0;
  #server!: Deno.HttpServer;

  private constructor(readonly socket: string) {}

  static async start(relaySocket: string, who = "@alice:b"): Promise<Front> {
    const front = new Front(`${relaySocket}.front`);
    front.#server = await listenUnix(front.socket, (request) => {
      const asked = new URL(request.url).searchParams.get("mode");
      return joinRelay({
        request,
        who,
        asked: asked === "readwrite" ? "readwrite" : "readonly",
        relaySocket,
        log: createLogger("test", {}, () => {}),
        mayNow: () => front.may,
        onStart: (mode) => {
          front.began.push(mode);
          return () => void front.ended++;
        },
      });
    });
    return front;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** A Unix socket that leads to another, and breaks each connection after some bytes. */
export class Cutter implements AsyncDisposable {
  readonly #listener: Deno.UnixListener;
  readonly #serving: Promise<void>;
  readonly #open = new Set<Deno.Conn>();
  cuts = 0;

  /** @param after bytes from there that the next connection is to get */
  constructor(readonly socket: string, target: string, after: () => number) {
    this.#listener = Deno.listen({ transport: "unix", path: socket });
    this.#serving = this.#serve(target, after);
  }

  async #serve(target: string, after: () => number): Promise<void> {
    for await (const near of this.#listener) {
      const far = await Deno.connect({ transport: "unix", path: target });
      void this.#join(near, far, after());
    }
  }

  async #join(near: Deno.Conn, far: Deno.Conn, limit: number): Promise<void> {
    for (const end of [near, far]) this.#open.add(end);
    const up = copy(near, far, Infinity);
    const down = copy(far, near, limit);
    if (await Promise.race([up, down]) === "cut") this.cuts++;
    for (const end of [near, far]) {
      this.#open.delete(end);
      end.close();
    }
    await Promise.all([up, down]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
  }
}

async function copy(from: Deno.Conn, to: Deno.Conn, limit: number): Promise<"cut" | "over"> {
  const buffer = new Uint8Array(16 * 1024);
  let left = limit;
  try {
    while (true) {
      const count = await from.read(buffer);
      if (count === null) return "over";
      let part = buffer.subarray(0, Math.min(count, left));
      while (part.length > 0) part = part.subarray(await to.write(part));
      left -= count;
      if (left <= 0) return "cut";
    }
  } catch {
    return "over";
  }
}
