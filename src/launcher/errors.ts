// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../lib/errors.ts";

/** A request that the launcher refuses, or could not carry out. Never holds plaintext of a bundle. */
export class LauncherError extends BureauError {
  override readonly name = "LauncherError";
  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(code, message, { status: 422, ...detail });
  }
}
