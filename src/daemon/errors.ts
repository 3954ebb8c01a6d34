// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../lib/errors.ts";

/** Whatever the daemon itself refuses or can't do. */
export class DaemonError extends BureauError {
  override readonly name = "DaemonError";
}
