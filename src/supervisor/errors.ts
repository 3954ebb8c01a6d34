// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../lib/errors.ts";

/** `up` could not bring the dev box to where it promised. */
export class SupervisorError extends BureauError {
  override readonly name = "SupervisorError";
  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(code, message, detail);
  }
}
