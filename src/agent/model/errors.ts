// SPDX-License-Identifier: Apache-2.0

/** Why a model gave no answer, and whether asking again may help. */
import { BureauError, type ErrorDetail } from "../../lib/errors.ts";
import { fieldsOf, stringOf } from "./types.ts";

export type ModelErrorCode =
  | "unreachable"
  | "stream-lost"
  | "overloaded"
  | "rate-limited"
  | "server-error"
  /** The proxy's: what the agent may spend is spent. */
  | "budget-exhausted"
  /** The provider's: the account has no more. */
  | "no-credit"
  | "refused-key"
  | "context-too-long"
  | "bad-request";

const PASSING: ReadonlySet<ModelErrorCode> = new Set<ModelErrorCode>([
  "unreachable",
  "stream-lost",
  "overloaded",
  "rate-limited",
  "server-error",
]);

export class ModelError extends BureauError {
  override readonly name = "ModelError";
  declare readonly code: ModelErrorCode;
  /** As the provider asks. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ModelErrorCode,
    why: string,
    detail: ErrorDetail & { readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(code, `Cannot ask the model: ${why}`, detail);
    this.retryAfterMs = detail.retryAfterMs;
  }

  /** Whether the same request may succeed later. */
  get isPassing(): boolean {
    return PASSING.has(this.code);
  }
}

/** @param body what the refusal says, in JSON or not */
export function refusalOf(status: number, headers: Headers, body: string): ModelError {
  const error = fieldsOf(parse(body)["error"]);
  const said = stringOf(error["message"]) || body.trim().slice(0, 300) || "no reason given";
  const code = codeOf(status, stringOf(error["type"]), stringOf(error["code"]), said);
  const hint = stringOf(error["hint"]);
  return new ModelError(code, `${said} (${status})`, {
    status,
    retryAfterMs: retryAfterMs(headers),
    ...(hint === "" ? {} : { hint }),
  });
}

/** An error that a stream tells after it began. */
export function streamError(value: unknown): ModelError {
  const error = fieldsOf(value);
  const [type, code] = [stringOf(error["type"]), stringOf(error["code"])];
  const said = stringOf(error["message"]) || "no reason given";
  const name = [type, code].find((each) => each !== "" && each !== "error") ?? "";
  return new ModelError(codeOf(0, type, code, said), name === "" ? said : `${name}: ${said}`);
}

function codeOf(status: number, type: string, code: string, said: string): ModelErrorCode {
  const names = `${type} ${code}`;
  if (code === "budget-exhausted") return "budget-exhausted";
  if (/insufficient_quota|billing/.test(names) || status === 402) return "no-credit";
  if (
    /context_length|context_window/.test(names) ||
    /prompt is too long|context (length|window)/i.test(said)
  ) {
    return "context-too-long";
  }
  if (/overloaded/.test(names) || status === 529) return "overloaded";
  if (/rate_limit/.test(names) || status === 429) return "rate-limited";
  if (status === 401 || status === 403 || /authentication|permission/.test(names)) {
    return "refused-key";
  }
  // The proxy says so of what is behind it, also with a status of its own.
  if (status === 408 || status === 409 || status >= 500) return "server-error";
  if (status === 0 && !/invalid_request|not_found|invalid_prompt/.test(names)) {
    return "server-error";
  }
  return "bad-request";
}

/** Seconds, milliseconds or a date, as providers write it. */
export function retryAfterMs(headers: Headers, now = Date.now()): number | undefined {
  const exact = headers.get("retry-after-ms");
  if (exact !== null && /^\d+(\.\d+)?$/.test(exact)) return Math.ceil(Number(exact));
  const said = headers.get("retry-after");
  if (said === null) return undefined;
  if (/^\d+(\.\d+)?$/.test(said.trim())) return Math.ceil(Number(said) * 1000);
  const at = Date.parse(said);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

function parse(body: string): Readonly<Record<string, unknown>> {
  try {
    return fieldsOf(JSON.parse(body));
  } catch {
    return {};
  }
}
