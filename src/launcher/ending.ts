// SPDX-License-Identifier: Apache-2.0

/** How an agent is told to end, and what its end is when nobody wants it so. */
import type { Clock } from "../lib/clock.ts";
import type { Tmux } from "../lib/tmux/mod.ts";
import type { ExitStatus } from "./api.ts";

/** For the end of an agent whose health check failed; then for what SIGKILL takes. */
const GIVE_UP_MS = 5_000;

export class Ending {
  readonly #tmux: Tmux;
  readonly #exitSeen: Promise<ExitStatus>;
  readonly #clock: Clock;
  readonly #stop: AbortSignal;
  #why: string | null = null;

  /** @param stop nobody asks any more: it has ended, or is being removed */
  constructor(tmux: Tmux, exitSeen: Promise<ExitStatus>, clock: Clock, stop: AbortSignal) {
    this.#tmux = tmux;
    this.#exitSeen = exitSeen;
    this.#clock = clock;
    this.#stop = stop;
  }

  /** Whether its health check was why. */
  get isGivenUp(): boolean {
    return this.#why !== null;
  }

  /** Signals the agent itself. @returns whether its sandbox ended within `ms` */
  async ask(signal: "TERM" | "KILL", ms: number): Promise<boolean> {
    // A terminal server that is late gets no polite word; ending it decides.
    const pane = await this.#tmux.pane().catch(() => null);
    if (pane === null || pane.dead) return false;
    await this.#tmux.shell(`sh /cell/stop.sh ${pane.pid} ${signal}`).catch(() => {});
    const enough = new AbortController();
    const ended = await Promise.race([
      this.#exitSeen.then(() => true, () => true),
      this.#clock.sleep(ms, enough.signal).then(() => false, () => false),
    ]);
    enough.abort();
    return ended;
  }

  async giveUp(why: string): Promise<void> {
    this.#why = why;
    if (await this.ask("TERM", GIVE_UP_MS) || await this.ask("KILL", GIVE_UP_MS)) return;
    if (!this.#stop.aborted) await this.#tmux.kill();
  }

  /** That it was given up is a failure, whatever status it chose. */
  final(exit: ExitStatus): ExitStatus {
    if (this.#why === null) return exit;
    return { ...exit, code: exit.code === 0 ? 1 : exit.code, reason: this.#why };
  }
}
