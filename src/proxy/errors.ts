// SPDX-License-Identifier: Apache-2.0

import { BureauError } from "../lib/errors.ts";

/** Every refusal and failure of a proxy. Its text is written here, never copied from a credential. */
export class ProxyError extends BureauError {
  override readonly name: string = "ProxyError";

  /** Headers of the answer beside its content's. */
  headers(): Record<string, string> {
    return this.status === 429 || this.status === 503 ? { "retry-after": "1" } : {};
  }
}

/**
 * What a caller is told of anything thrown while serving. What is not a `BureauError` was not foreseen:
 * its text stays inside, because it might quote what it failed on (a header, a token).
 */
export function shownError(thrown: unknown): BureauError {
  return thrown instanceof BureauError
    ? thrown
    : new ProxyError("internal", "Cannot serve the request: the proxy met an unforeseen fault");
}

export function errorResponse(thrown: unknown): Response {
  const error = shownError(thrown);
  const headers: Record<string, string> = {
    ...(error instanceof ProxyError ? error.headers() : {}),
    "proxy-status": proxyStatus(error),
  };
  return Response.json(error.toBody(), { status: error.status, headers });
}

/**
 * RFC 9209, for clients that show no body: `curl -v` prints it when a CONNECT is refused. Only what fits a
 * structured field's string goes in.
 */
export function proxyStatus({ code, message }: BureauError): string {
  const text = `${code}: ${message}`.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, "'");
  return `bureau; error=http_request_denied; details="${text.slice(0, 300)}"`;
}

export function badRequest(why: string, hint?: string): ProxyError {
  return new ProxyError("bad-request", `Cannot read the request: ${why}`, {
    status: 400,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** A credential whose time is over is not used any more, whoever else would still take it. */
export function credentialExpired(what: string, end: number): ProxyError {
  return new ProxyError(
    "credential-expired",
    `Cannot send the request: ${what} expired at ${new Date(end).toISOString()}`,
    {
      status: 502,
      hint: "an operator gives it a new value: `bureau credential rotate NAME KEY`",
    },
  );
}
