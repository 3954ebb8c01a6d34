// SPDX-License-Identifier: Apache-2.0

/** What the homeserver refused, and refusals in the homeserver's own shape. */
import { ProxyError, shownError } from "../errors.ts";
import { isObject, type JsonObject } from "./parameters.ts";

/** The homeserver's own refusal, in this project's shape with Matrix's `errcode` beside it. */
export class MatrixRefusal extends ProxyError {
  readonly errcode: string;
  /** How long the homeserver asks to wait, milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, text: string) {
    const body = parseObject(text);
    const errcode = typeof body["errcode"] === "string" ? body["errcode"] : "M_UNKNOWN";
    const why = typeof body["error"] === "string" ? body["error"] : `status ${status}`;
    // A redirect is never followed: the account's token belongs to this homeserver alone.
    super(errcode, why, { status: status < 400 ? 502 : status });
    this.errcode = errcode;
    const wait = body["retry_after_ms"];
    this.retryAfterMs = typeof wait === "number" ? wait : undefined;
  }

  override toBody() {
    return {
      ...super.toBody(),
      errcode: this.errcode,
      ...(this.retryAfterMs === undefined ? {} : { retry_after_ms: this.retryAfterMs }),
    };
  }
}

const ERRCODES: Readonly<Record<number, string>> = {
  400: "M_INVALID_PARAM",
  403: "M_FORBIDDEN",
  413: "M_TOO_LARGE",
  429: "M_LIMIT_EXCEEDED",
};

/** For a stock Matrix client: its standard error, with this project's beside it. */
export function matrixErrorResponse(thrown: unknown): Response {
  const error = shownError(thrown);
  const errcode = error instanceof MatrixRefusal
    ? error.errcode
    : ERRCODES[error.status] ?? "M_UNKNOWN";
  return Response.json({
    errcode,
    error: error.hint === undefined ? error.message : `${error.message}; ${error.hint}`,
    ...(error.status === 429 ? { retry_after_ms: 1000 } : {}),
    "bureau.code": error.code,
  }, { status: error.status });
}

export function parseObject(text: string): JsonObject {
  try {
    const json: unknown = JSON.parse(text);
    return isObject(json) ? json : {};
  } catch {
    return {};
  }
}
