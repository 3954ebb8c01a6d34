// SPDX-License-Identifier: Apache-2.0

/** Reads the caller's request off its connection. */
import { closeQuietly, isDisconnect } from "../../lib/duplex.ts";
import { type ConnectHead, MAX_HEAD_BYTES, parseConnectHead } from "./connect_line.ts";

/** @returns null when the caller left, or did not finish within `deadlineMs` (slowloris) */
export async function readHead(
  caller: Deno.UnixConn,
  deadlineMs: number,
): Promise<{ head: Exclude<ConnectHead, { state: "more" }>; rest: Uint8Array } | null> {
  const timer = setTimeout(() => closeQuietly(caller), deadlineMs);
  const buffer = new Uint8Array(MAX_HEAD_BYTES);
  let length = 0;
  try {
    while (true) {
      const read = await caller.read(buffer.subarray(length));
      if (read === null) return null;
      length += read;
      const head = parseConnectHead(buffer.subarray(0, length));
      if (head.state === "more") continue;
      const rest = head.state === "ok"
        ? buffer.subarray(head.length, length)
        : buffer.subarray(0, 0);
      return { head, rest };
    }
  } catch (thrown) {
    if (isDisconnect(thrown)) return null;
    throw thrown;
  } finally {
    clearTimeout(timer);
  }
}
