// SPDX-License-Identifier: Apache-2.0
import { BureauError, type ErrorBody, type ErrorDetail } from "../errors.ts";

/** A request that could not be served, or an answer that could not be had. */
export class HttpApiError extends BureauError {
  override readonly name = "HttpApiError";
  constructor(code: string, message: string, detail: ErrorDetail = {}) {
    super(code, message, detail);
  }
}

/** Reads `{error:{code,message,hint?}}`, or null when the body has another shape. */
export function parseErrorBody(body: unknown): ErrorBody["error"] | null {
  if (typeof body !== "object" || body === null) return null;
  const error = (body as { error?: unknown }).error;
  if (typeof error !== "object" || error === null) return null;
  const { code, message, hint } = error as Record<string, unknown>;
  if (typeof code !== "string" || typeof message !== "string") return null;
  return { code, message, ...(typeof hint === "string" ? { hint } : {}) };
}
