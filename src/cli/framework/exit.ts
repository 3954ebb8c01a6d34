// SPDX-License-Identifier: Apache-2.0

/** Exit statuses, so that a script can tell what went wrong. */
import { BureauError, type ErrorBody, messageOf } from "../../lib/errors.ts";
import { RefError } from "../../lib/ref/errors.ts";

export const Exit = {
  ok: 0,
  failed: 1,
  usage: 2,
  notRunning: 3,
  denied: 4,
  notFound: 5,
  temporary: 6,
  /** 128 + SIGINT, as shells have it. */
  interrupted: 130,
} as const;

/** Kinds of failures: the status that each ends with, and what it means. */
export const CATEGORIES = {
  failed: { exit: Exit.failed, meaning: "it failed; the message says why" },
  conflict: { exit: Exit.failed, meaning: "what is there stands against it" },
  internal: { exit: Exit.failed, meaning: "nobody has thought of this failure: a fault of Bureau" },
  usage: { exit: Exit.usage, meaning: "the command line is wrong, or a `--yes` is missing" },
  unreachable: {
    exit: Exit.notRunning,
    meaning: "Bureau is not running, or the homeserver cannot be reached",
  },
  denied: { exit: Exit.denied, meaning: "who asks may not" },
  "not-found": { exit: Exit.notFound, meaning: "there is no such thing" },
  temporary: { exit: Exit.temporary, meaning: "too busy or too slow now: the same may go later" },
  interrupted: { exit: Exit.interrupted, meaning: "by ctrl-C or SIGTERM" },
} as const;

export type Category = keyof typeof CATEGORIES;

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

export function categoryOf(thrown: unknown): Category {
  if (thrown instanceof FailedWith) return categoryOf(thrown.cause);
  if (!(thrown instanceof BureauError)) return "internal";
  const { code, status } = thrown;
  // A malformed name was typed here: what comes from elsewhere is an HttpApiError by now.
  if (code === "usage" || thrown instanceof RefError) return "usage";
  if (code === "interrupted") return "interrupted";
  if (code === "not-running" || code === "unreachable") return "unreachable";
  if (status === 401 || status === 403) return "denied";
  if (status === 404) return "not-found";
  if (status === 409 || status === 412) return "conflict";
  if (status === 429 || status === 503 || status === 504) return "temporary";
  return "failed";
}

export function exitCodeOf(thrown: unknown): number {
  return thrown instanceof FailedWith ? thrown.exit : CATEGORIES[categoryOf(thrown)].exit;
}

/** What `--json` writes of a failure, on stderr. */
export interface ErrorDocument {
  readonly error: ErrorBody["error"] & {
    readonly category: Category;
    readonly exit_status: number;
  };
}

export function errorDocument(thrown: unknown): ErrorDocument {
  const { error } = thrown instanceof BureauError
    ? thrown.toBody()
    : { error: { code: "internal", message: messageOf(thrown) } };
  return { error: { category: categoryOf(thrown), ...error, exit_status: exitCodeOf(thrown) } };
}
