// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../../lib/errors.ts";

/** `mailbox-full`, `too-large`, `refused` (the broker's own word is its message), `broker-gone`, `late`, `not-offered`. */
export class MailError extends BureauError {
  override readonly name = "MailError";
}
