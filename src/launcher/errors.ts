// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../lib/errors.ts";

/** A request the launcher refuses or cannot carry out. */
export class LauncherError extends BureauError {
  override readonly name = "LauncherError";
  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(code, message, detail);
  }
}
