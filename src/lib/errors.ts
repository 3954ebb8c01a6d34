// SPDX-License-Identifier: Apache-2.0

/**
 * The error base every folder subclasses once. A message has the form
 * `Cannot <verb> "<thing>": <why>` without a final period; `code` is stable and
 * machine-readable; `hint` says what a person can do about it.
 *
 * Messages and hints must never hold a secret: they reach logs, sockets and Matrix rooms.
 */
export interface ErrorDetail {
  /** What the reader can do about it, as a sentence or a command. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** HTTP status used when this error crosses a socket; default 500. */
  readonly status?: number;
}

/** Characters of a message or a hint, at most. What came from outside may be of any length. */
export const MAX_MESSAGE = 4_000;

/** The beginning and the end stay: who refused, and why. */
function bounded(text: string): string {
  if (text.length <= MAX_MESSAGE) return text;
  const kept = MAX_MESSAGE / 2 - 40;
  const left = text.length - 2 * kept;
  return `${text.slice(0, kept)}… (${left} characters left out) …${text.slice(-kept)}`;
}

export class BureauError extends Error {
  override readonly name: string = "BureauError";
  readonly code: string;
  readonly hint: string | undefined;
  readonly status: number;

  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(bounded(message), detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.hint = detail.hint === undefined ? undefined : bounded(detail.hint);
    this.status = detail.status ?? 500;
  }

  /** The body that crosses a socket: `{error:{code,message,hint?}}`. */
  toBody(): ErrorBody {
    return {
      error: {
        code: this.code,
        message: this.message,
        ...(this.hint === undefined ? {} : { hint: this.hint }),
      },
    };
  }
}

/** The one shape of an error on every internal HTTP interface. */
export interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
}

/** The message of anything thrown, for logs and wrapping. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
