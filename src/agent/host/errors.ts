// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../../lib/errors.ts";
import { nearest } from "../../lib/near.ts";

export type HostErrorCode =
  | "unknown-worker"
  | "name-taken"
  | "too-many"
  | "busy"
  | "ended"
  | "bad-placement"
  | "not-pooled"
  | "none-live"
  | "other-state"
  | "foreign-directory"
  | "not-started"
  | "stopping";

const STATUS: Partial<Record<HostErrorCode, number>> = {
  "unknown-worker": 404,
  "bad-placement": 400,
  "none-live": 502,
  "not-started": 502,
  "too-many": 503,
  "stopping": 503,
};

export class HostError extends BureauError {
  override readonly name = "HostError";
  declare readonly code: HostErrorCode;
  constructor(code: HostErrorCode, message: string, hint?: string) {
    super(code, message, {
      status: STATUS[code] ?? 409,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

export function unknownWorker(verb: string, name: string, known: Iterable<string>): HostError {
  const near = nearest(name, known);
  return new HostError(
    "unknown-worker",
    `Cannot ${verb} "${name}": there is no such worker`,
    near === undefined
      ? "`bureau worker list` shows those that there are"
      : `did you mean ${near}?`,
  );
}
