// SPDX-License-Identifier: Apache-2.0

/**
 * How every Bureau process starts: one JSON document on stdin, read once, then EOF (architecture
 * rule 3). Never argv, never the environment: both are readable by other processes of the user.
 */
import { BureauError, messageOf } from "../errors.ts";
import { readDocument } from "./document.ts";

/** Largest accepted document: 8 MiB. */
export const MAX_BOOTSTRAP_BYTES = 8 * 1024 * 1024;
/** How long the parent may take to write the document and close: 30 s. */
export const BOOTSTRAP_DEADLINE_MS = 30_000;
/** The version this build understands. */
export const BOOTSTRAP_VERSION = 1;

export type ProvisionErrorCode =
  | "bootstrap-empty"
  | "bootstrap-oversized"
  | "bootstrap-late"
  | "bootstrap-truncated"
  | "bootstrap-malformed"
  | "bootstrap-newer";

export class ProvisionError extends BureauError {
  override readonly name = "ProvisionError";
  constructor(code: ProvisionErrorCode, why: string, hint?: string, cause?: unknown) {
    super(code, `Cannot read the bootstrap document: ${why}`, {
      ...(hint === undefined ? {} : { hint }),
      ...(cause === undefined ? {} : { cause }),
      status: 400,
    });
  }
}

export interface BootstrapOptions {
  readonly deadlineMs?: number;
  readonly maxBytes?: number;
  readonly stdin?: ReadableStream<Uint8Array>;
}

/**
 * Reads the document and parses it.
 *
 * @param parse throws when the shape is wrong, e.g. a zod `parse`
 * @throws {ProvisionError} one code per way it can go wrong; messages never quote the document,
 * which may hold secrets
 */
export async function readBootstrap<T>(
  parse: (json: unknown) => T,
  options: BootstrapOptions = {},
): Promise<T> {
  const { maxBytes = MAX_BOOTSTRAP_BYTES, deadlineMs = BOOTSTRAP_DEADLINE_MS } = options;
  const bytes = await readDocument(options.stdin ?? Deno.stdin.readable, {
    maxBytes,
    deadlineMs,
    late: () =>
      new ProvisionError(
        "bootstrap-late",
        `stdin was not closed within ${deadlineMs} ms`,
        "the parent must write one document and close stdin",
      ),
    oversized: () =>
      new ProvisionError("bootstrap-oversized", `it is larger than ${maxBytes} bytes`),
  });
  return parseDocument(bytes, parse);
}

/** @throws {ProvisionError} */
export function parseDocument<T>(bytes: Uint8Array, parse: (json: unknown) => T): T {
  if (bytes.length === 0) {
    throw new ProvisionError(
      "bootstrap-empty",
      "stdin was empty",
      "this process is started by its parent with one JSON document on stdin; start Bureau with `deno task up`",
    );
  }
  const json = parseJson(bytes);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ProvisionError("bootstrap-malformed", "it is not a JSON object");
  }
  const version = (json as Record<string, unknown>)["version"];
  if (typeof version === "number" && version > BOOTSTRAP_VERSION) {
    throw new ProvisionError(
      "bootstrap-newer",
      `version ${version} is newer than ${BOOTSTRAP_VERSION}, the newest this process knows`,
      "update this installation, or start the parent from the same release",
    );
  }
  try {
    return parse(json);
  } catch (thrown) {
    throw new ProvisionError("bootstrap-malformed", describeIssues(thrown), undefined);
  }
}

/** Field paths and rules, without values. */
function describeIssues(thrown: unknown): string {
  const issues = (thrown as { issues?: { path?: PropertyKey[]; message?: string }[] }).issues;
  if (!Array.isArray(issues)) return "its fields are not what this process expects";
  return issues.slice(0, 5)
    .map((issue) =>
      `${(issue.path ?? []).map(String).join(".") || "(root)"}: ${issue.message ?? "invalid"}`
    )
    .join("; ");
}

function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ProvisionError("bootstrap-malformed", "it is not UTF-8");
  }
  try {
    return JSON.parse(text);
  } catch (thrown) {
    const message = messageOf(thrown);
    const cut = /end of JSON|Unterminated|Expected .* after/.test(message) &&
      !/[}\]]\s*$/.test(text);
    throw cut
      ? new ProvisionError("bootstrap-truncated", "it ends before the JSON document is complete")
      : new ProvisionError("bootstrap-malformed", "it is not valid JSON");
  }
}

const encoder = new TextEncoder();

/** Writes all of `text`: a short write on a pipe must not cut the line the parent waits for. */
function writeStdout(text: string): void {
  let bytes = encoder.encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}

/** Tells the parent that this process serves: one stdout line `{"ready":true,…fields}`. */
export function announceReady(fields: Record<string, unknown> = {}): void {
  writeStdout(JSON.stringify({ ready: true, ...fields }) + "\n");
}

/** One more line for the parent, after readiness. It is in the pipe when this returns. */
export function tellParent(fields: Record<string, unknown>): void {
  writeStdout(JSON.stringify(fields) + "\n");
}

/** Tells the parent why the start failed: one stdout line `{"error":{code,message,hint?}}`; exit 1. */
export function failStart(error: unknown): never {
  const body = error instanceof BureauError
    ? error.toBody()
    : { error: { code: "start-failed", message: messageOf(error) } };
  writeStdout(JSON.stringify(body) + "\n");
  Deno.exit(1);
}
