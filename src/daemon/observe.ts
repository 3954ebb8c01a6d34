// SPDX-License-Identifier: Apache-2.0

/**
 * Joins a watcher's WebSocket to the relay in the principal's cell. The daemon says who watches and what they
 * may do, again and again; what comes down passes unread.
 */
import * as z from "zod/mini";
import { messageOf } from "../lib/errors.ts";
import { UNIX_HOST } from "../lib/http/mod.ts";
import type { Logger } from "../lib/log.ts";
import {
  FrameKind,
  MAX_INPUT_FRAME,
  OBSERVE_PROTOCOL,
  type ObserveDown,
  type ObserveMay,
  type ObserveMode,
  ObserveUp,
} from "../observe/api.ts";
import { DaemonError } from "./errors.ts";

/** A watcher that is this far behind is let go: it must not hold memory for everyone. */
export const MAX_BEHIND_BYTES = 8 * 1024 * 1024;
/** Longest control frame that is read. */
const MAX_CONTROL_FRAME = 4096;
export const CONNECT_DEADLINE_MS = 15_000;
/** How long somebody watches, or types, after the right to it has ended. */
const RECHECK_MS = 2_000;
/** What a watcher may ask for, with the form that it has; the rest is the daemon's to say. */
export const WATCHER_WORDS: Readonly<Record<string, RegExp>> = {
  cols: /^[1-9]\d{0,3}$/,
  rows: /^[1-9]\d{0,3}$/,
  stream: /^[0-9a-f-]{1,64}$/,
  offset: /^\d{1,16}$/,
  since: /^\d{1,9}$/,
};

export interface Watching {
  readonly request: Request;
  /** Who watches, as everybody who watches is told. */
  readonly who: string;
  readonly asked: ObserveMode;
  /** The relay's socket on the host. */
  readonly relaySocket: string;
  readonly log: Logger;
  /** What the watcher may do now; null: nothing. Asked again and again: rights end while somebody watches. */
  readonly mayNow: () => ObserveMode | null;
  /**
   * Called with the start, and what it returns once with the end; so too when the mode becomes another
   * meanwhile, for each of the two.
   */
  readonly onStart: (mode: ObserveMode) => () => void;
}

/** @throws {DaemonError} `not-a-websocket`, `relay-away` */
export async function joinRelay(watching: Watching): Promise<Response> {
  const { request, asked, relaySocket } = watching;
  if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
    throw new DaemonError("not-a-websocket", "Cannot observe: the request is no WebSocket", {
      status: 426,
    });
  }
  const granted = (may: ObserveMode | null) => may === "readwrite" ? asked : "readonly";
  let mode = granted(watching.mayNow());
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: relaySocket } });
  const relay = new WebSocket(`ws://${UNIX_HOST}/v1/attach?${question(watching, mode)}`, {
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
  let end = watching.onStart(mode);
  let ended = false;
  const finish = (reason: string) => {
    if (ended) return;
    ended = true;
    clearInterval(recheck);
    clearTimeout(late);
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
    if (may === null) return say("you may not watch it any more");
    if (granted(may) === mode || relay.readyState !== WebSocket.OPEN) return;
    mode = granted(may);
    const frame: ObserveMay = { type: "may", mode };
    relay.send(JSON.stringify(frame));
    end();
    end = watching.onStart(mode);
  }, RECHECK_MS);
  // One that vanishes in mid-handshake neither opens nor closes (Deno 2.9).
  const late = setTimeout(() => {
    if (watcher.readyState === WebSocket.CONNECTING) finish("the watcher never came");
  }, CONNECT_DEADLINE_MS);
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
    const frame = upward(data, mode);
    if (frame !== null && relay.readyState === WebSocket.OPEN) relay.send(frame);
  };
  relay.onclose = () => finish("the relay closed");
  relay.onerror = () => finish("the relay failed");
  watcher.onclose = () => finish("the watcher left");
  watcher.onerror = () => finish("the watcher failed");
  return response;
}

/** What the relay is asked: of the watcher's own words only what is a watcher's to say. */
function question({ request, who }: Watching, mode: ObserveMode): URLSearchParams {
  const query = new URL(request.url).searchParams;
  const ask = new URLSearchParams({ mode, who, watcher: crypto.randomUUID() });
  for (const [name, form] of Object.entries(WATCHER_WORDS)) {
    const value = query.get(name);
    if (value !== null && form.test(value)) ask.set(name, value);
  }
  return ask;
}

/**
 * What of a watcher's frames goes on to the relay. The relay enforces the mode as well; a keystroke of a
 * read-only watcher does not even reach it.
 */
function upward(data: unknown, mode: ObserveMode): string | ArrayBuffer | null {
  if (data instanceof ArrayBuffer) {
    if (mode === "readonly" || data.byteLength > MAX_INPUT_FRAME) return null;
    return new Uint8Array(data)[0] === FrameKind.input ? data : null;
  }
  if (typeof data !== "string" || data.length > MAX_CONTROL_FRAME) return null;
  try {
    const frame = z.safeParse(ObserveUp, JSON.parse(data));
    // Written anew: what was read is what goes on.
    return frame.success ? JSON.stringify(frame.data) : null;
  } catch {
    return null;
  }
}

export function opened(socket: WebSocket): Promise<void> {
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

export function closeSocket(socket: WebSocket, reason: string): void {
  try {
    socket.close(1000, reason);
  } catch {
    // Closing or closed already.
  }
}
