// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../../lib/errors.ts";

export type ParentErrorCode =
  | "exited-early"
  | "not-registered"
  | "no-answer"
  | "impostor"
  | "not-enforced"
  | "refused"
  | "protocol"
  | "too-deep"
  | "too-many"
  | "not-allowed"
  | "not-pooled"
  | "bad-placement"
  | "none-live"
  | "no-server";

/** What a parent could not have of its workers. */
export class ParentError extends BureauError {
  override readonly name = "ParentError";
  declare readonly code: ParentErrorCode;
  constructor(code: ParentErrorCode, message: string, hint?: string, cause?: unknown) {
    super(code, message, {
      status: 502,
      ...(hint === undefined ? {} : { hint }),
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
