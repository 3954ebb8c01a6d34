// SPDX-License-Identifier: Apache-2.0

/** What went wrong with a call, in the words that a program needs to decide what to do next. */
import { BureauError, messageOf } from "../lib/errors.ts";
import { RefError } from "../lib/ref/errors.ts";

export type Category =
  | "validation"
  | "not_found"
  | "forbidden"
  | "conflict"
  | "transient"
  | "internal";

export interface ToolFailure {
  readonly category: Category;
  /** The same call may succeed later. */
  readonly retryable: boolean;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export class McpError extends BureauError {
  override readonly name = "McpError";
}

const BY_STATUS: Readonly<Record<number, Category>> = {
  400: "validation",
  401: "forbidden",
  403: "forbidden",
  404: "not_found",
  405: "validation",
  408: "transient",
  409: "conflict",
  410: "not_found",
  412: "conflict",
  413: "validation",
  415: "validation",
  422: "validation",
  425: "transient",
  429: "transient",
  502: "transient",
  503: "transient",
  504: "transient",
};

const BY_CODE: Readonly<Record<string, Category>> = {
  usage: "validation",
  interrupted: "transient",
  "not-running": "transient",
  unreachable: "transient",
  timeout: "transient",
  "timed-out": "transient",
};

export function failureOf(thrown: unknown): ToolFailure {
  const category = categoryOf(thrown);
  return {
    category,
    retryable: category === "transient",
    code: thrown instanceof BureauError ? thrown.code : "internal",
    message: messageOf(thrown),
    ...(thrown instanceof BureauError && thrown.hint !== undefined ? { hint: thrown.hint } : {}),
  };
}

function categoryOf(thrown: unknown): Category {
  if (!(thrown instanceof BureauError)) {
    // This process was never permitted it, whatever was asked.
    return thrown instanceof Deno.errors.NotCapable ? "forbidden" : "internal";
  }
  // What a name is made of, the caller wrote.
  if (thrown instanceof RefError) return "validation";
  return BY_CODE[thrown.code] ?? BY_STATUS[thrown.status] ?? "internal";
}
