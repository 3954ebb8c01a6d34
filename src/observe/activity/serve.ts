// SPDX-License-Identifier: Apache-2.0

/** `GET /v1/activity` of the relay's socket: frames down, what a template adds and what to remember up. The daemon alone is there. */
import type { MakeTap } from "../tap.ts";
import { Activity, type ActivityFrame } from "./activity.ts";

/** A daemon that takes nothing off gets nothing more, and comes again. */
const MAX_BEHIND_BYTES = 64 * 1024;
const MAX_MARK = 200;

/**
 * For a relay: what listens to its stream, and what answers at `/v1/activity`.
 * @param onMark told what stands in a recording from here on: why somebody was needed
 */
export function activityOfRelay(onMark: (text: string) => void = () => {}): {
  readonly tap: MakeTap;
  readonly endpoint: (socket: WebSocket) => void;
} {
  let activity: Activity | null = null;
  return {
    tap: (screen) => activity = new Activity(screen),
    endpoint: (socket) =>
      activity === null ? socket.close() : serveActivity(socket, activity, onMark),
  };
}

/** @param socket not open yet */
export function serveActivity(
  socket: WebSocket,
  activity: Activity,
  onMark: (text: string) => void = () => {},
): void {
  let leave = () => {};
  socket.onopen = () => {
    leave = activity.listen((frame: ActivityFrame) => {
      if (socket.readyState !== WebSocket.OPEN) return;
      if (socket.bufferedAmount > MAX_BEHIND_BYTES) return socket.close();
      socket.send(JSON.stringify(frame));
    });
  };
  socket.onmessage = ({ data }) => {
    const frame = frameOf(data);
    if (frame === null) return;
    if ("waiting" in frame) activity.setWaiting(frame.waiting);
    else onMark(frame.mark);
  };
  socket.onclose = () => leave();
  socket.onerror = () => leave();
}

/** `{"type":"watch","waiting":["…"]}`, `{"type":"mark","text":"…"}` */
function frameOf(data: unknown): { waiting: readonly unknown[] } | { mark: string } | null {
  try {
    const { type, waiting, text } = JSON.parse(String(data)) as Record<string, unknown>;
    if (type === "watch" && Array.isArray(waiting)) return { waiting };
    if (type === "mark" && typeof text === "string") return { mark: text.slice(0, MAX_MARK) };
    return null;
  } catch {
    return null;
  }
}
