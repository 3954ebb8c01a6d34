// SPDX-License-Identifier: Apache-2.0

/** Joins a watcher's WebSocket to the relay in the principal's cell; frames pass unread both ways. */
import { messageOf } from "../lib/errors.ts";
import { UNIX_HOST } from "../lib/http/mod.ts";
import type { Logger } from "../lib/log.ts";
import { OBSERVE_PROTOCOL, type ObserveDown, type ObserveMode } from "../observe/api.ts";
import { DaemonError } from "./errors.ts";

/** A watcher that is this far behind is let go: it must not hold memory for everyone. */
const MAX_BEHIND_BYTES = 8 * 1024 * 1024;
/** What a watcher may send before the relay is there. */
const MAX_EARLY_FRAMES = 64;
const CONNECT_DEADLINE_MS = 15_000;
/** How long somebody watches, or types, after the right to it has ended. */
const RECHECK_MS = 2_000;

export interface Watching {
  readonly request: Request;
  /** Already downgraded to what is granted. */
  readonly mode: ObserveMode;
  /** The relay's socket on the host. */
  readonly relaySocket: string;
  readonly log: Logger;
  /** What the watcher may do now; null: nothing. Asked again and again: rights end while somebody watches. */
  readonly mayNow: () => ObserveMode | null;
  /** Called once with the start, and what it returns once with the end. */
  readonly onStart: () => () => void;
}

/** @throws {DaemonError} `not-a-websocket`, `relay-away` */
export async function joinRelay(watching: Watching): Promise<Response> {
  const { request, mode, relaySocket } = watching;
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    throw new DaemonError("not-a-websocket", "Cannot observe: the request is no WebSocket", {
      status: 426,
    });
  }
  const query = new URL(request.url).searchParams;
  const ask = new URLSearchParams({ mode });
  for (const name of ["cols", "rows"]) {
    const value = query.get(name);
    if (value !== null && /^[1-9]\d{0,3}$/.test(value)) ask.set(name, value);
  }
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: relaySocket } });
  const relay = new WebSocket(`ws://${UNIX_HOST}/v1/attach?${ask}`, {
    client,
    protocols: [OBSERVE_PROTOCOL],
  });
  relay.binaryType = "arraybuffer";
  const early: (string | ArrayBuffer)[] = [];
  relay.onmessage = ({ data }) => early.push(data);
  try {
    await opened(relay);
  } catch (thrown) {
    client.close();
    throw new DaemonError("relay-away", `Cannot observe: the relay is away: ${messageOf(thrown)}`, {
      status: 502,
    });
  }
  const { socket: watcher, response } = Deno.upgradeWebSocket(request, {
    ...(request.headers.has("sec-websocket-protocol") ? { protocol: OBSERVE_PROTOCOL } : {}),
    idleTimeout: 60,
  });
  watcher.binaryType = "arraybuffer";
  const end = watching.onStart();
  let ended = false;
  const finish = (reason: string) => {
    if (ended) return;
    ended = true;
    clearInterval(recheck);
    end();
    closeSocket(relay, reason);
    closeSocket(watcher, reason);
    client.close();
  };
  const say = (reason: string) => {
    const exit: ObserveDown = { type: "exit", reason };
    if (watcher.readyState === WebSocket.OPEN) watcher.send(JSON.stringify(exit));
    finish(reason);
  };
  const recheck = setInterval(() => {
    const may = watching.mayNow();
    if (may === null) say("you may not watch it any more");
    // The relay keeps to the mode that it began with: a new session is one without a keyboard.
    else if (mode === "readwrite" && may === "readonly") {
      say("you may not type here any more; observe it again to watch");
    }
  }, RECHECK_MS);
  const down = (data: string | ArrayBuffer) => {
    if (watcher.readyState !== WebSocket.OPEN) return;
    if (watcher.bufferedAmount > MAX_BEHIND_BYTES) return say("the watcher is too slow");
    watcher.send(data);
  };
  watcher.onopen = () => {
    relay.onmessage = ({ data }) => down(data);
    for (const data of early.splice(0)) down(data);
  };
  watcher.onmessage = ({ data }) => {
    // The relay enforces the mode; a keystroke of a read-only watcher does not even reach it.
    if (mode === "readonly" && typeof data !== "string") return;
    if (relay.readyState === WebSocket.OPEN && early.length <= MAX_EARLY_FRAMES) relay.send(data);
  };
  relay.onclose = () => finish("the relay closed");
  relay.onerror = () => finish("the relay failed");
  watcher.onclose = () => finish("the watcher left");
  watcher.onerror = () => finish("the watcher failed");
  return response;
}

function opened(socket: WebSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer in time")), CONNECT_DEADLINE_MS);
    socket.onopen = () => {
      clearTimeout(timer);
      resolve();
    };
    socket.onerror = (event) => {
      clearTimeout(timer);
      reject(new Error(event instanceof ErrorEvent ? event.message : "it refused"));
    };
  });
}

function closeSocket(socket: WebSocket, reason: string): void {
  try {
    socket.close(1000, reason);
  } catch {
    // Closing or closed already.
  }
}
