// SPDX-License-Identifier: Apache-2.0
import type { Principal } from "./api.ts";
import type { Validated } from "./validate.ts";

/** Of a principal that is about to be made, or was found. */
export interface Origin {
  readonly hash: string;
  /** Of the assignment in force. */
  readonly issuedAt: number;
  readonly startedAt: number;
  readonly rolledBack?: Principal["rolled_back"];
}

export function firstStatus(
  { localpart, userId, specDigest, credentialsDigest }: Pick<
    Validated,
    "localpart" | "userId" | "specDigest" | "credentialsDigest"
  >,
  { hash, issuedAt, startedAt, rolledBack }: Origin,
  revision: number,
): Principal {
  return {
    principal: localpart,
    user_id: userId,
    hash,
    phase: "starting",
    issued_at: issuedAt,
    spec_digest: specDigest,
    credentials_digest: credentialsDigest,
    started_at: startedAt,
    exit: null,
    proxy: { ready: false, restarts: 0 },
    message: null,
    revision,
    ...(rolledBack === undefined ? {} : { rolled_back: rolledBack }),
  };
}
