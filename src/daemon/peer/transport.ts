// SPDX-License-Identifier: Apache-2.0

/**
 * How bytes get from one machine's daemon to another's. What carries them makes sure that they come from nobody but
 * the machine that was named; who is at the other end of a stream that a peer opened is said inside it (`assertion.ts`).
 */
import type { ByteStream } from "../../lib/carrier/mod.ts";

export interface PeerTransport {
  /**
   * @param machine user id
   * @throws {DaemonError} `peer-unknown` where that machine has not said how to reach it; `peer-away`
   */
  open(machine: string, signal: AbortSignal): Promise<ByteStream>;
  /** Calls `onStream` with each that a peer opens, until `signal` aborts. Never throws. */
  accept(onStream: (stream: ByteStream) => void, signal: AbortSignal): Promise<void>;
}
