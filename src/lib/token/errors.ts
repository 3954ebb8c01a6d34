// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../errors.ts";

/** A service token that doesn't count, or doesn't say enough. */
export class TokenError extends BureauError {
  override readonly name = "TokenError";
  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(code, message, { status: 401, ...detail });
  }
}
