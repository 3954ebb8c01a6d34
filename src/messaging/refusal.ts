// SPDX-License-Identifier: Apache-2.0

/** A homeserver's answer that is no success, as a `MessagingError`. */
import { MessagingError } from "./errors.ts";

const HINTS: Readonly<Record<string, string>> = {
  M_UNKNOWN_TOKEN:
    "the session ended or was revoked: `deno task down`, then `deno task up`, logs in again",
  M_FORBIDDEN: "the account lacks the membership or power level for this",
};

/** Whoever runs the homeserver can do more than wait. */
function limitedHint(wait: number | undefined): string {
  const when = wait === undefined ? "later" : `in ${Math.ceil(wait / 1000)} s`;
  return `try again ${when}, or raise its limits: docs/guide/production-homeserver.md has those that agents need`;
}

/**
 * @param what what was tried
 * @param json the answer's body, undefined when it is no JSON object
 * @param retryAfter the header
 * @param now ms since the epoch, for a header that is a date
 */
export function refusal(
  what: string,
  base: string,
  status: number,
  json: unknown,
  retryAfter: string | null,
  now: number,
): MessagingError {
  const body = (json ?? {}) as Record<string, unknown>;
  const errcode = typeof body["errcode"] === "string" ? body["errcode"] : undefined;
  if (errcode === undefined && status !== 429) {
    return new MessagingError(
      "bad-answer",
      `Cannot ${what}: ${base} answered ${status} without a Matrix error`,
      { status: status >= 400 ? status : 502, hint: `is ${base} a Matrix homeserver?` },
    );
  }
  const name = errcode ?? "M_LIMIT_EXCEEDED";
  const said = typeof body["error"] === "string" ? body["error"].slice(0, 300) : name;
  const wait = waitOf(body["retry_after_ms"]) ?? waitOfHeader(retryAfter, now);
  const hint = name === "M_LIMIT_EXCEEDED" ? limitedHint(wait) : HINTS[name];
  return new MessagingError(
    name.replace(/^M_/, "").toLowerCase().replaceAll("_", "-"),
    `Cannot ${what}: ${said.replace(/\.$/, "")}`,
    {
      status,
      errcode: name,
      ...(hint === undefined ? {} : { hint }),
      ...(wait === undefined ? {} : { retryAfterMs: wait }),
    },
  );
}

/** A wait that is no number, or lies in the past, is none. */
function waitOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** RFC 9110 §10.2.3: seconds or a date. */
function waitOfHeader(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,10}$/.test(header)) return Number(header) * 1000;
  return waitOf(Date.parse(header) - now);
}
