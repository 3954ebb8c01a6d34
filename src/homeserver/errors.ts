// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../lib/errors.ts";

/** A refusal in the form of the Matrix Client-Server API: `{errcode, error, …extra}`. */
export class MatrixError extends BureauError {
  override readonly name = "MatrixError";
  readonly extra: Readonly<Record<string, unknown>>;

  /**
   * @param errcode e.g. `M_FORBIDDEN`; also the error's `code`
   * @param extra further members of the body, e.g. `retry_after_ms`
   */
  constructor(
    status: number,
    errcode: string,
    message: string,
    extra: Record<string, unknown> = {},
    detail: Omit<ErrorDetail, "status"> = {},
  ) {
    super(errcode, message, { ...detail, status });
    this.extra = extra;
  }

  toMatrix(): Record<string, unknown> {
    return { errcode: this.code, error: this.message, ...this.extra };
  }
}

export const forbidden = (message: string) => new MatrixError(403, "M_FORBIDDEN", message);
export const notFound = (message: string) => new MatrixError(404, "M_NOT_FOUND", message);
export const badJson = (message: string) => new MatrixError(400, "M_BAD_JSON", message);
export const invalidParam = (message: string) => new MatrixError(400, "M_INVALID_PARAM", message);
export const missingParam = (message: string) => new MatrixError(400, "M_MISSING_PARAM", message);
export const tooLarge = (message: string) => new MatrixError(413, "M_TOO_LARGE", message);
export const unknownToken = (softLogout = false) =>
  new MatrixError(401, "M_UNKNOWN_TOKEN", "Cannot use this access token: it is not known here", {
    soft_logout: softLogout,
  });

export const unrecognized = (status: 404 | 405, method: string, path: string) =>
  new MatrixError(
    status,
    "M_UNRECOGNIZED",
    `Cannot serve "${method} ${path}": this homeserver does not have it`,
  );

export const limitExceeded = (retryAfterMs: number) =>
  new MatrixError(
    429,
    "M_LIMIT_EXCEEDED",
    "Cannot serve this request: too many from this account or address",
    { retry_after_ms: retryAfterMs },
  );

/** The write was refused by the disk; reads go on and writes recover by themselves. */
export const storageFull = (cause: unknown) =>
  new MatrixError(
    507,
    "M_LIMIT_EXCEEDED",
    "Cannot store this: the homeserver's disk is full or failing; nothing was written",
    { retry_after_ms: 5_000 },
    { cause, hint: "free space on the disk that holds the homeserver's state directory" },
  );
