// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../lib/errors.ts";

export interface MessagingDetail extends ErrorDetail {
  /** The homeserver's own code, e.g. `M_FORBIDDEN`; absent when it never answered. */
  readonly errcode?: string;
  /** How long the homeserver asks to wait, milliseconds. */
  readonly retryAfterMs?: number;
}

/**
 * What the homeserver refused, or that it could not be reached. `code` is `unreachable`,
 * `bad-answer`, or the errcode in our spelling (`M_UNKNOWN_TOKEN` → `unknown-token`).
 */
export class MessagingError extends BureauError {
  override readonly name = "MessagingError";
  readonly errcode: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, detail: MessagingDetail = {}) {
    super(code, message, detail);
    this.errcode = detail.errcode;
    this.retryAfterMs = detail.retryAfterMs;
  }

  /** True when this account is gone: repeating the request can never succeed. */
  get isAccountLost(): boolean {
    return this.errcode === "M_UNKNOWN_TOKEN" || this.errcode === "M_USER_DEACTIVATED";
  }

  /** True when the same request may succeed later without anybody doing anything. */
  get isPassing(): boolean {
    if (this.isAccountLost) return false;
    return this.code === "unreachable" || this.code === "bad-answer" || this.status === 429 ||
      this.status >= 500;
  }
}

/** True for a `MessagingError` with this errcode. */
export function hasErrcode(thrown: unknown, errcode: string): thrown is MessagingError {
  return thrown instanceof MessagingError && thrown.errcode === errcode;
}
