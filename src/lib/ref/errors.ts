// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../errors.ts";

/** A name that breaks the grammar. Over a socket it is the caller's mistake: 400. */
export class RefError extends BureauError {
  override readonly name = "RefError";
  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(code, message, { status: 400, ...detail });
  }
}

/** Names reach messages from the wire: quoted, control characters escaped, cut. */
export function quoteName(name: string): string {
  return JSON.stringify(name.length > 120 ? name.slice(0, 117) + "…" : name);
}
