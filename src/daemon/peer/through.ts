// SPDX-License-Identifier: Apache-2.0

/** A watcher's WebSocket and that of a peer become one: frames pass unread, the other machine looks at them. */
import { MAX_INPUT_FRAME, OBSERVE_PROTOCOL } from "../../observe/api.ts";
import { DaemonError } from "../errors.ts";
import { closeSocket, CONNECT_DEADLINE_MS, MAX_BEHIND_BYTES, opened } from "../observe.ts";

/** @param close ends what carries `peer` @throws {DaemonError} `not-a-websocket`, `peer-away` */
export async function relayFrames(
  request: Request,
  peer: WebSocket,
  close: () => void,
): Promise<Response> {
  peer.binaryType = "arraybuffer";
  const early: (string | ArrayBuffer)[] = [];
  peer.onmessage = ({ data }) => early.push(data);
  try {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
      throw new DaemonError("not-a-websocket", "Cannot observe: the request is no WebSocket", {
        status: 426,
      });
    }
    await opened(peer);
  } catch (thrown) {
    closeSocket(peer, "");
    close();
    if (thrown instanceof DaemonError) throw thrown;
    throw new DaemonError("peer-away", "Cannot observe: the other machine let nobody in", {
      status: 503,
      cause: thrown,
    });
  }
  const { socket: watcher, response } = Deno.upgradeWebSocket(request, {
    ...(request.headers.has("sec-websocket-protocol") ? { protocol: OBSERVE_PROTOCOL } : {}),
    idleTimeout: 60,
  });
  watcher.binaryType = "arraybuffer";
  let ended = false;
  const finish = (reason: string) => {
    if (ended) return;
    ended = true;
    clearTimeout(late);
    closeSocket(peer, reason);
    closeSocket(watcher, reason);
    // What was said last is on its way; then the stream ends in any case.
    setTimeout(close, 1_000);
  };
  // One that vanishes in mid-handshake neither opens nor closes (Deno 2.9).
  const late = setTimeout(() => {
    if (watcher.readyState === WebSocket.CONNECTING) finish("the watcher never came");
  }, CONNECT_DEADLINE_MS);
  const pass = (to: WebSocket, data: string | ArrayBuffer, why: string) => {
    if (to.readyState !== WebSocket.OPEN) return;
    if (to.bufferedAmount > MAX_BEHIND_BYTES) return finish(why);
    to.send(data);
  };
  const down = (data: string | ArrayBuffer) => pass(watcher, data, "the watcher is too slow");
  watcher.onopen = () => {
    clearTimeout(late);
    peer.onmessage = ({ data }) => down(data);
    for (const data of early.splice(0)) down(data);
  };
  watcher.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer && data.byteLength > MAX_INPUT_FRAME) return;
    pass(peer, data, "the other machine is too slow");
  };
  peer.onclose = () => finish("the other machine closed");
  peer.onerror = () => finish("the other machine failed");
  watcher.onclose = () => finish("the watcher left");
  watcher.onerror = () => finish("the watcher failed");
  return response;
}
