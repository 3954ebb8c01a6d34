// SPDX-License-Identifier: Apache-2.0

/** Happy eyeballs (RFC 8305): a family that leads nowhere costs a quarter of a second, not the deadline. */
import { closeQuietly } from "../../lib/duplex.ts";

export type Dial = (address: string, port: number, signal: AbortSignal) => Promise<Deno.TcpConn>;

export interface RaceOptions {
  readonly signal: AbortSignal;
  readonly dial: Dial;
  /** The Connection Attempt Delay of §5: 250 ms. */
  readonly staggerMs?: number;
}

export const dialTcp: Dial = async (hostname, port, signal) => {
  const connection = await Deno.connect({ hostname, port, signal });
  connection.setNoDelay();
  connection.setKeepAlive();
  return connection;
};

/** §4: IPv6 first, then in turns; within a family as the resolver said. */
export function interleave(addresses: readonly string[]): string[] {
  const v6 = addresses.filter((address) => address.includes(":"));
  const v4 = addresses.filter((address) => !address.includes(":"));
  const turns: string[] = [];
  for (let at = 0; at < Math.max(v6.length, v4.length); at++) {
    if (at < v6.length) turns.push(v6[at]!);
    if (at < v4.length) turns.push(v4[at]!);
  }
  return turns;
}

/**
 * Starts the next attempt when the last one failed or took longer than the stagger. The first connection wins,
 * the others are given up.
 * @throws the last failure, when all failed
 */
export function raceConnect(
  addresses: readonly string[],
  port: number,
  { signal, dial, staggerMs = 250 }: RaceOptions,
): Promise<{ connection: Deno.TcpConn; address: string }> {
  const waiting = interleave(addresses);
  const losers = new AbortController();
  const attempt = AbortSignal.any([signal, losers.signal]);
  const result = Promise.withResolvers<{ connection: Deno.TcpConn; address: string }>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running = 0;
  let isDecided = false;
  const next = () => {
    clearTimeout(timer);
    const address = waiting.shift();
    if (address === undefined) return;
    running++;
    dial(address, port, attempt).then((connection) => {
      if (isDecided) return closeQuietly(connection);
      isDecided = true;
      clearTimeout(timer);
      losers.abort();
      result.resolve({ connection, address });
    }, (thrown) => {
      running--;
      if (isDecided) return;
      if (waiting.length > 0 && !signal.aborted) return next();
      if (running > 0) return;
      isDecided = true;
      clearTimeout(timer);
      result.reject(thrown);
    });
    if (waiting.length > 0) timer = setTimeout(next, staggerMs);
  };
  next();
  return result.promise;
}
