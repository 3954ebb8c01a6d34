// SPDX-License-Identifier: Apache-2.0

/** `GET /v1/activity` of the relay's socket: frames down, what a template adds up. The daemon alone is there. */
import type { MakeTap } from "../tap.ts";
import { Activity, type ActivityFrame } from "./activity.ts";

/** A daemon that takes nothing off gets nothing more, and comes again. */
const MAX_BEHIND_BYTES = 64 * 1024;

/** For a relay: what listens to its stream, and what answers at `/v1/activity`. */
export function activityOfRelay(): {
  readonly tap: MakeTap;
  readonly endpoint: (socket: WebSocket) => void;
} {
  let activity: Activity | null = null;
  return {
    tap: (screen) => activity = new Activity(screen),
    endpoint: (socket) => activity === null ? socket.close() : serveActivity(socket, activity),
  };
}

/** @param socket not open yet */
export function serveActivity(socket: WebSocket, activity: Activity): void {
  let leave = () => {};
  socket.onopen = () => {
    leave = activity.listen((frame: ActivityFrame) => {
      if (socket.readyState !== WebSocket.OPEN) return;
      if (socket.bufferedAmount > MAX_BEHIND_BYTES) return socket.close();
      socket.send(JSON.stringify(frame));
    });
  };
  socket.onmessage = ({ data }) => {
    const waiting = waitingOf(data);
    if (waiting !== null) activity.setWaiting(waiting);
  };
  socket.onclose = () => leave();
  socket.onerror = () => leave();
}

/** `{"type":"watch","waiting":["…"]}` */
function waitingOf(data: unknown): readonly unknown[] | null {
  try {
    const { type, waiting } = JSON.parse(String(data)) as Record<string, unknown>;
    return type === "watch" && Array.isArray(waiting) ? waiting : null;
  } catch {
    return null;
  }
}
