// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../errors.ts";

/** A template that can't be resolved or instantiated: a configuration mistake, not a passing fault. */
export class TemplateError extends BureauError {
  override readonly name = "TemplateError";
  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(code, message, { status: 422, ...detail });
  }
}
