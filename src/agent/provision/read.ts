// SPDX-License-Identifier: Apache-2.0

/** A worker's first act: its spec, from its standard input, once, to the end. */
import { readDocument } from "../../lib/provision/document.ts";
import { SpecError } from "./errors.ts";
import { parseSpec } from "./parse.ts";
import { MAX_SPEC_BYTES, type ProvisionSpec } from "./spec.ts";

/** How long a parent may take to write it and to close the pipe. */
const DEADLINE_MS = 30_000;

export interface ReadOptions {
  readonly stdin?: ReadableStream<Uint8Array>;
  readonly isTerminal?: boolean;
  readonly maxBytes?: number;
  readonly deadlineMs?: number;
}

/** @throws {SpecError} one code for each way in which it can go wrong */
export async function readSpec({
  stdin = Deno.stdin.readable,
  isTerminal = Deno.stdin.isTerminal(),
  maxBytes = MAX_SPEC_BYTES,
  deadlineMs = DEADLINE_MS,
}: ReadOptions = {}): Promise<ProvisionSpec> {
  if (isTerminal) {
    throw new SpecError(
      "spec-terminal",
      "standard input is a terminal",
      "a worker is started by its parent, e.g. by `bureau worker run`",
    );
  }
  const bytes = await readDocument(stdin, {
    maxBytes,
    deadlineMs,
    late: () =>
      new SpecError(
        "spec-late",
        `standard input was not closed within ${deadlineMs} ms`,
        "the parent writes one document and closes the pipe",
      ),
    oversized: () => new SpecError("spec-oversized", `it is larger than ${maxBytes} bytes`),
  });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new SpecError("spec-not-utf8", "it is not UTF-8");
  } finally {
    bytes.fill(0);
  }
  return parseSpec(text);
}
