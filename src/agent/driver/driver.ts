// SPDX-License-Identifier: Apache-2.0

/**
 * Other people's command-line agents, driven the same way: one file for each program, which says how it is
 * called and what its lines mean. docs/guide/agents.md says how to write one.
 */
import type { AgentEvent } from "../event.ts";

/** Something that the agent may do only when it is told so. */
export interface ApprovalRequest {
  readonly id: string;
  /** As the program names it. */
  readonly tool: string;
  readonly input: unknown;
  /** Why, where the program says it. */
  readonly reason: string | null;
}

export interface StartOptions {
  /** The program and what comes before the driver's own arguments. */
  readonly command: readonly [string, ...string[]];
  /** Its working directory. */
  readonly cwd: string;
  /** All that it gets: nothing of this process's environment goes along unless it is in here. */
  readonly env: Readonly<Record<string, string>>;
  /** Absent: the program's own choice. */
  readonly model?: string;
  /** Added to what the program tells its model. */
  readonly instructions?: string;
  /** An earlier session to go on with. `usd`: what it had cost by then. */
  readonly resume?: { readonly session_id: string; readonly usd?: number };
  /**
   * Asked before the agent does what its program holds to be dangerous. Absent: it is never asked, and does
   * everything: for agents whose walls are a sandbox.
   */
  readonly approve?: (request: ApprovalRequest) => Promise<boolean>;
}

export interface SendOptions {
  /** What `prompt` calls it; absent: nothing. */
  readonly id?: string;
  /**
   * While the program works, it is for the turn that goes on: the agent has it at the next safe point. Where the
   * program cannot take it so, and without this, it waits for the turn's end.
   */
  readonly steers?: boolean;
}

/** One running program. */
export interface DriverSession {
  /**
   * Everything it says, once and in order; ends when the program has ended. Has to be read, for the program to
   * go on.
   */
  readonly events: AsyncIterable<AgentEvent>;
  /**
   * Gives it a message. Each has one `prompt`, when the agent has it, and the next `end` is its own; those of one turn
   * share it. One that the agent never had, because the program died, has an `end` without a `prompt`.
   * @throws {DriverError} `ended`
   */
  send(text: string, options?: SendOptions): void;
  /** Ends the turn that it works on, whose `end` is `cancelled`; does nothing when there is none. */
  interrupt(): void;
  /** Ends the program: asked first, killed after `graceMs`. Turns that were open end as `cancelled`. */
  close(graceMs?: number): Promise<void>;
}

export interface Driver {
  readonly name: string;
  /** The error of a turn when the session that it was to go on with is not there. Absent: it has none. */
  readonly lost?: RegExp;
  start(options: StartOptions): DriverSession;
}
