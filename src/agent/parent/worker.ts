// SPDX-License-Identifier: Apache-2.0

/** A worker as its parent has it, wherever it is: one of this process's own, or one that another process holds. */
import type { DiscoveryRecord } from "../fabric/mod.ts";
import type { ProvisionSpec } from "../provision/mod.ts";
import { restrictionsOf } from "../worker/executor.ts";
import type { RunHandlers, RunOutcome, RunRequest } from "./connection.ts";
import { ParentError } from "./errors.ts";

export interface RunControl {
  message(text: string): void;
  /** It is at work, though it says nothing: for its parent's watch. */
  hear(): void;
}

export interface RunOptions extends RunHandlers {
  /** Cancels: the worker is ended. */
  readonly signal?: AbortSignal;
  /** It was given its assignment. */
  onStart?(control: RunControl): void;
}

export interface Worker {
  readonly spec: ProvisionSpec;
  /** What it says of itself. */
  readonly record: Pick<DiscoveryRecord, "agent_id" | "enforces">;
  /** With what it wrote last, as far as that is known. */
  readonly exited: Promise<{ readonly how: string; readonly stderr: string }>;
  /** Whether another run may be given to it: it lives, and nothing went wrong. */
  readonly isReusable: boolean;
  /** One at a time. Whatever the worker does, this ends. */
  run(request: RunRequest, options?: RunOptions): Promise<RunOutcome>;
  /** At once. Idempotent. */
  end(): Promise<void>;
}

/**
 * The contract has workers ignore what they don't know: one that would drop a restriction silently is not used.
 * @throws {ParentError} `not-enforced`
 */
export function refuseUnenforced(record: Worker["record"], spec: ProvisionSpec): void {
  const lacking = restrictionsOf(spec).filter((each) => !record.enforces.includes(each));
  if (lacking.length === 0) return;
  throw new ParentError(
    "not-enforced",
    `Cannot use the worker "${record.agent_id}": it does not keep ${lacking.join(", ")}`,
    "update the worker, or choose an executor that keeps it",
  );
}
