// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../lib/errors.ts";

/** A sandbox that must not be made as asked. */
export class SandboxError extends BureauError {
  override readonly name = "SandboxError";
  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(code, message, { status: 422, ...detail });
  }
}
