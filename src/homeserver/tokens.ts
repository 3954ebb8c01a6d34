// SPDX-License-Identifier: Apache-2.0

/**
 * Positions as clients hold them: `s<position>` or `s<position>_<epoch>`. Sync, pagination and `at`
 * share one form, since everything has one order.
 */
import { invalidParam } from "./errors.ts";

export const formatToken = (position: number): string => `s${position}`;

/** A since token also names the database that it came from. */
export const formatSince = (position: number, epoch: string): string => `s${position}_${epoch}`;

/** @throws {MatrixError} M_INVALID_PARAM */
export function parseToken(token: string): number {
  return parseSince(token).position;
}

export function parseSince(token: string): { position: number; epoch: string | undefined } {
  const match = /^s(\d{1,15})(?:_([0-9a-f]{8}))?$/.exec(token);
  if (match === null) throw invalidParam("Cannot read the token: it was not made by this server");
  return { position: Number(match[1]), epoch: match[2] };
}
