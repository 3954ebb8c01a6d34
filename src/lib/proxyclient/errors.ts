// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorDetail } from "../errors.ts";
import { parseErrorBody } from "../http/errors.ts";

export interface ProxyClientDetail extends ErrorDetail {
  /** The homeserver's own code, e.g. `M_FORBIDDEN`, where it was the homeserver that refused. */
  readonly errcode?: string;
  /** How long the homeserver asks to wait, milliseconds. */
  readonly retryAfterMs?: number;
}

/**
 * What the proxy refused, or that it could not be reached. `code` is the proxy's (`forbidden`,
 * `no-such-service`, …), the homeserver's errcode, `unreachable`, `stream-lost` or `bad-answer`.
 */
export class ProxyClientError extends BureauError {
  override readonly name = "ProxyClientError";
  readonly errcode: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: string, message: string, detail: ProxyClientDetail = {}) {
    super(code, message, detail);
    this.errcode = detail.errcode;
    this.retryAfterMs = detail.retryAfterMs;
  }

  /** True when the same request may succeed later without anybody doing anything. */
  get isPassing(): boolean {
    if (this.errcode === "M_UNKNOWN_TOKEN" || this.errcode === "M_USER_DEACTIVATED") return false;
    return this.code === "unreachable" || this.status === 429 || this.status >= 500;
  }
}

/** Reads a refusal. Consumes the body. */
export async function errorFrom(response: Response, what: string): Promise<ProxyClientError> {
  const body: unknown = await response.json().catch(() => null);
  const error = parseErrorBody(body);
  if (error === null) {
    return new ProxyClientError(
      "bad-answer",
      `Cannot ${what}: status ${response.status} without an error body`,
      { status: response.status },
    );
  }
  const { errcode, retry_after_ms } = body as { errcode?: unknown; retry_after_ms?: unknown };
  const isMatrix = typeof errcode === "string";
  const message = isMatrix ? `Cannot ${what}: ${error.message}` : error.message;
  return new ProxyClientError(error.code, message, {
    status: response.status,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(isMatrix ? { errcode } : {}),
    ...(typeof retry_after_ms === "number" ? { retryAfterMs: retry_after_ms } : {}),
  });
}
