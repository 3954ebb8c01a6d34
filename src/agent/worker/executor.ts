// SPDX-License-Identifier: Apache-2.0

/**
 * What runs an assignment. A worker has one executor for all its runs, made from its spec before it says that it is
 * there; whatever a run leaves behind in memory is a fault, for the next run may be another assignment's.
 */
import { BureauError } from "../../lib/errors.ts";
import type { Restriction } from "../fabric/record.ts";
import type { ExecutorSpec, ProvisionSpec } from "../provision/spec.ts";
import type { RunFrame } from "./frames.ts";

export interface RunContext {
  readonly assignment: string;
  readonly reasoningEffort?: string;
  /** History, oldest first, as the parent keeps it. */
  readonly messages?: RunFrame["messages"];
  /** Of this run alone: no other has had it. */
  readonly runId: string;
  /** Cancelled, or nobody there to hear the answer. An executor that goes on for 3 s after it is left behind. */
  readonly signal: AbortSignal;
  /** Tells the parent, in order. Resolves when there is room for another: whoever doesn't wait is ended. */
  emit(event: unknown): Promise<void>;
  /** Asks the parent, who asks whoever may decide; false after 300 s, or when nobody is there. */
  approve(body: unknown): Promise<boolean>;
  /** What the parent said since the last time, in order: for the beginning of a round. */
  takeMessages(): string[];
  /** Resolves when `takeMessages` has something, or the run is over. */
  messageComes(): Promise<void>;
}

export interface Executor {
  /** Which of a spec's restrictions it keeps itself, whatever the model says. */
  readonly enforces: readonly Restriction[];
  /** @returns the result @throws what went wrong, in words for a person; anything once `signal` is aborted */
  run(context: RunContext): Promise<string>;
  /** Before the worker ends. */
  close?(): Promise<void>;
}

export type ExecutorFactory = (spec: ProvisionSpec) => Promise<Executor> | Executor;

export class ExecutorError extends BureauError {
  override readonly name = "ExecutorError";
}

type Kind = ExecutorSpec["kind"];

/** Which executors this build has. */
export class ExecutorRegistry {
  readonly #factories = new Map<Kind, ExecutorFactory>();

  register(kind: Kind, factory: ExecutorFactory): this {
    this.#factories.set(kind, factory);
    return this;
  }

  /** @throws {ExecutorError} `no-executor`; `not-enforced` for a spec whose restrictions it would not keep */
  async make(spec: ProvisionSpec): Promise<Executor> {
    const { kind } = spec.executor;
    const factory = this.#factories.get(kind);
    if (factory === undefined) {
      throw new ExecutorError(
        "no-executor",
        `Cannot run "${kind}": this worker has no such executor`,
        {
          hint: `it has ${[...this.#factories.keys()].sort().join(", ")}`,
          status: 501,
        },
      );
    }
    const executor = await factory(spec);
    const lacking = restrictionsOf(spec).filter((each) => !executor.enforces.includes(each));
    if (lacking.length > 0) {
      await executor.close?.();
      throw new ExecutorError(
        "not-enforced",
        `Cannot run "${kind}": it would not keep ${lacking.join(", ")}`,
        { hint: "take it out of the spec, or choose another executor", status: 501 },
      );
    }
    return executor;
  }
}

/** The restrictions that this spec uses. */
export function restrictionsOf(
  { disabled_tools, limits, capabilities }: ProvisionSpec,
): Restriction[] {
  return [
    ...(disabled_tools ?? []).length > 0 ? ["disabled_tools" as const] : [],
    ...limits.max_rounds !== undefined ? ["max_rounds" as const] : [],
    ...capabilities.enforce_permissions ? ["enforce_permissions" as const] : [],
    ...capabilities.guardian_read_only ? ["guardian_read_only" as const] : [],
    ...capabilities.nested_spawn ? ["max_spawn_depth" as const] : [],
  ];
}
