// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../../lib/errors.ts";

/** One for each way in which a spec can't be had. */
export type SpecErrorCode =
  | "spec-terminal"
  | "spec-late"
  | "spec-oversized"
  | "spec-not-utf8"
  | "spec-empty"
  | "spec-truncated"
  | "spec-malformed"
  | "spec-newer"
  | "spec-invalid";

/** Names places in a document, and never what stands there: a spec holds secrets. */
export class SpecError extends BureauError {
  override readonly name = "SpecError";
  declare readonly code: SpecErrorCode;
  constructor(code: SpecErrorCode, why: string, hint?: string) {
    super(code, `Cannot use the provision spec: ${why}`, {
      status: 400,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}
