// SPDX-License-Identifier: Apache-2.0

/** Exit statuses, so that a script can tell what went wrong. */
import { BureauError, messageOf } from "../../lib/errors.ts";
import { RefError } from "../../lib/ref/errors.ts";

export const Exit = {
  ok: 0,
  failed: 1,
  usage: 2,
  notRunning: 3,
  denied: 4,
  notFound: 5,
  /** 128 + SIGINT, as shells have it. */
  interrupted: 130,
} as const;

/** A result that is not all well, although nothing failed: `--json` prints it as any other. */
export class Ended<R = unknown> {
  constructor(readonly result: R, readonly exit: number) {}
}

export class CliError extends BureauError {
  override readonly name = "CliError";
}

/** A failure with a status of its own, for commands that promise one. */
export class FailedWith extends BureauError {
  override readonly name = "FailedWith";
  constructor(readonly exit: number, cause: unknown) {
    const known = cause instanceof BureauError ? cause : null;
    super(known?.code ?? "internal", messageOf(cause), {
      cause,
      ...(known?.hint === undefined ? {} : { hint: known.hint }),
    });
  }
}

export function exitCodeOf(thrown: unknown): number {
  if (thrown instanceof FailedWith) return thrown.exit;
  if (!(thrown instanceof BureauError)) return Exit.failed;
  // A malformed name was typed here: what comes from elsewhere is an HttpApiError by now.
  if (thrown.code === "usage" || thrown instanceof RefError) return Exit.usage;
  if (thrown.code === "interrupted") return Exit.interrupted;
  if (thrown.code === "not-running" || thrown.code === "unreachable") return Exit.notRunning;
  if (thrown.status === 401 || thrown.status === 403) return Exit.denied;
  if (thrown.status === 404) return Exit.notFound;
  return Exit.failed;
}

/** The body that `--json` prints for a failure. */
export function errorBody(thrown: unknown): unknown {
  return thrown instanceof BureauError
    ? thrown.toBody()
    : { error: { code: "internal", message: messageOf(thrown) } };
}
