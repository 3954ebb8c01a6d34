// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../lib/errors.ts";

/** A request the launcher refuses or cannot carry out. */
export class LauncherError extends BureauError {
  override readonly name = "LauncherError";
  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(code, message, detail);
  }
}

export function noCgroups(localpart: string, what: string): LauncherError {
  return new LauncherError(
    "no-cgroups",
    `Cannot ${what} of "${localpart}": it has no control group`,
    { status: 409, hint: "`bureau doctor` says what this machine lacks for it" },
  );
}

export function notRunning(localpart: string, what: string, phase: string): LauncherError {
  return new LauncherError("not-running", `Cannot ${what} "${localpart}": it is ${phase}`, {
    status: 409,
    hint: "`bureau agent show` says why",
  });
}

export function isFrozen(localpart: string, what: string): LauncherError {
  return new LauncherError("frozen", `Cannot ${what} "${localpart}": it is frozen`, {
    status: 409,
    hint: "`bureau agent thaw` lets it go on",
  });
}
