// SPDX-License-Identifier: Apache-2.0

/**
 * One principal's way out: a Unix socket on which its proxy asks for `CONNECT host:port`. The gate
 * checks the policy, resolves the name once, and connects to the very address that it checked.
 */
import { authorityOf, type Target } from "../../lib/authority.ts";
import { traced } from "../../lib/telemetry/mod.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import type { AskDecider } from "../asks/types.ts";
import { readHead } from "./head.ts";
import { hold } from "./hold.ts";
import { DestinationPolicy } from "./policy.ts";
import { Reach, type Reached, type ReachOptions } from "./reach.ts";
import { type Refusal, writeRefusal } from "./refusal.ts";
import { turnsOfThread } from "./turns.ts";
import { type EgressUsage, UsageCount } from "./usage.ts";
import {
  closeQuietly,
  copyBoth,
  type Duplex,
  isDisconnect,
  type Transferred,
  writeAll,
} from "../../lib/duplex.ts";

export interface GateOptions extends ReachOptions {
  /** Full localpart, for the log. */
  readonly principal: string;
  readonly log: Logger;
  /** How long a caller may take for its request line: 10 s. */
  readonly headDeadlineMs?: number;
  /** Tunnels at once; further callers are answered 503. */
  readonly maxTunnels?: number;
  /** Asked about what neither list decides and the policy's `ask` list matches. */
  readonly ask?: AskDecider;
  /** What the policy refused, for whoever tells operators. */
  readonly onRefused?: (target: Target, code: string) => void;
  /** `usage` is another than it was; not said of the bytes of a tunnel that stands. */
  readonly onUsage?: () => void;
}

/** What a person is asked about; see `ResolvedEgress`. */
export interface GateAsk {
  readonly hosts: readonly string[];
  readonly timeoutMs: number;
}

export interface GateCounters {
  allowed: number;
  refused: number;
  bytes: number;
}

interface Tunnel extends Reached {
  /** Until when a person's answer lets it pass, as long as the policy asks; null: the policy's word. */
  readonly asked: number | null;
  readonly caller: Duplex;
}

export class EgressGate {
  readonly #options: GateOptions;
  readonly #usage = new UsageCount();
  readonly #reach: Reach;
  readonly #running = new Map<Tunnel, Transferred>();
  readonly #callers = new Set<Deno.UnixConn>();
  #policy = new DestinationPolicy([]);
  #hasPolicy = false;
  #askTimeoutMs = 0;
  #held = 0;
  #listener: Deno.UnixListener | null = null;
  #accepting: Promise<void> = Promise.resolve();

  constructor(options: GateOptions) {
    this.#options = options;
    this.#reach = new Reach(options);
  }

  get counters(): GateCounters {
    const { allowed, refused, up, down } = this.usage;
    return { allowed, refused, bytes: up + down };
  }

  /** With what runs counted in. */
  get usage(): EgressUsage {
    return this.#usage.withRunning(
      [...this.#running].map(([{ target }, transferred]) => [authorityOf(target), transferred]),
    );
  }

  /** From now on; tunnels to what is no longer allowed are cut. */
  setPolicy(allow: readonly string[], deny: readonly string[] = [], ask?: GateAsk): void {
    this.#policy = new DestinationPolicy(allow, deny, ask?.hosts);
    this.#hasPolicy = true;
    this.#askTimeoutMs = ask?.timeoutMs ?? 0;
    for (const text of this.#policy.malformed) {
      this.#options.log.warn(
        "egress entry is not host:port: allowing it allows nothing, denying it denies everything",
        {
          entry: text,
        },
      );
    }
    for (const tunnel of this.#running.keys()) {
      if (this.#mayStand(tunnel)) continue;
      this.#options.log.info("egress cut: no longer allowed", {
        target: authorityOf(tunnel.target),
      });
      closeQuietly(tunnel.upstream);
    }
  }

  #mayStand({ target, address, asked }: Omit<Tunnel, "caller">): boolean {
    return this.#policy.denied(target) === null &&
      (this.#policy.match(target) !== null || this.#stillAsked(target, asked)) &&
      this.#policy.refusal(target, address) === null;
  }

  /**
   * Listens on `path` (mode 0660), in place of a socket of an earlier life.
   * @param signal when it has aborted meanwhile, nothing is opened any more
   * @throws when the directory is not there
   */
  async listen(path: string, signal?: AbortSignal): Promise<void> {
    this.#stopListening();
    // A closed listener takes its file away when its last accept has ended, which must not be ours.
    await this.#accepting;
    await Deno.remove(path).catch((thrown) => {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    });
    if (signal?.aborted) return;
    const listener = Deno.listen({ transport: "unix", path });
    this.#listener = listener;
    this.#accepting = this.#accept(listener);
    await Deno.chmod(path, 0o660);
  }

  #stopListening(): void {
    const listener = this.#listener;
    this.#listener = null;
    if (listener !== null) closeQuietly(listener);
  }

  /** Stops listening and cuts every tunnel. */
  close(): void {
    this.#stopListening();
    for (const { upstream } of this.#running.keys()) closeQuietly(upstream);
    for (const caller of this.#callers) closeQuietly(caller);
  }

  async #accept(listener: Deno.UnixListener): Promise<void> {
    while (true) {
      let caller: Deno.UnixConn;
      try {
        caller = await listener.accept();
      } catch (thrown) {
        if (this.#listener === listener) {
          this.#options.log.error("egress gate stopped listening", { why: messageOf(thrown) });
        }
        return;
      }
      this.#callers.add(caller);
      this.#serve(caller).catch((thrown) => {
        if (!isDisconnect(thrown)) {
          this.#options.log.warn("egress connection ended badly", { why: messageOf(thrown) });
        }
      }).finally(() => {
        this.#callers.delete(caller);
        closeQuietly(caller);
      });
    }
  }

  async #serve(caller: Deno.UnixConn): Promise<void> {
    const read = await readHead(caller, this.#options.headDeadlineMs ?? 10_000);
    // It left or dawdled: there is nobody to answer.
    if (read === null) return;
    if (read.head.state === "bad") {
      const message = `Cannot read the request: ${read.head.why}`;
      return await this.#refuse(caller, null, { status: 400, code: "egress-bad-request", message });
    }
    const { target } = read.head;
    const { principal } = this.#options;
    const opened = await traced("egress", { principal }, async (note) => {
      const opened = await this.#open(target, caller);
      note("verdict", opened === null ? "left" : "status" in opened ? opened.code : "allowed");
      return opened;
    });
    if (opened === null) return;
    if ("status" in opened) return await this.#refuse(caller, target, opened);
    const transferred: Transferred = { up: 0, down: 0 };
    this.#running.set(opened, transferred);
    try {
      this.#usage.allow(authorityOf(target));
      this.#options.onUsage?.();
      await writeAll(caller, encoder.encode("HTTP/1.1 200 Connection established\r\n\r\n"));
      await writeAll(opened.upstream, read.rest);
      transferred.up += read.rest.length;
      const turn = turnsOfThread.of(this.#options.principal);
      await copyBoth(opened.caller, opened.upstream, transferred, turn);
    } finally {
      closeQuietly(opened.upstream);
      this.#running.delete(opened);
      this.#usage.add(authorityOf(target), transferred);
      this.#options.onUsage?.();
      this.#options.log.info("egress", {
        verdict: "allowed",
        target: authorityOf(target),
        up: transferred.up,
        down: transferred.down,
      });
    }
  }

  /** @returns null when the caller left before a person answered */
  async #open(target: Target, caller: Duplex): Promise<Tunnel | Refusal | null> {
    const where = authorityOf(target);
    if (!this.#hasPolicy) {
      return {
        status: 503,
        code: "egress-not-ready",
        message: `Cannot connect to "${where}": the principal's egress policy is not known yet`,
        hint: "the daemon is starting; the request can be repeated",
      };
    }
    const denied = this.#policy.denied(target);
    if (denied !== null) {
      return {
        status: 403,
        code: "egress-denied",
        message:
          `Cannot connect to "${where}": the principal's egress policy denies "${denied.text}"`,
        hint: "take the entry out of egress.deny of the template or the assignment",
      };
    }
    let asked: number | null = null;
    if (this.#policy.match(target) === null) {
      const held = await this.#ask(target, caller);
      if (held === null || "status" in held) return held;
      caller = held.caller;
      asked = held.until;
    }
    if (this.#running.size >= (this.#options.maxTunnels ?? 256)) {
      return {
        status: 503,
        code: "egress-busy",
        message: `Cannot connect to "${where}": too many open connections`,
      };
    }
    const policy = this.#policy;
    const opened = await this.#reach.reach(target, () => this.#policy);
    if ("status" in opened) return opened;
    const tunnel = { ...opened, asked, caller };
    if (policy === this.#policy || this.#mayStand(tunnel)) return tunnel;
    closeQuietly(opened.upstream);
    return {
      status: 403,
      code: "egress-refused",
      message: `Cannot connect to "${where}": the principal's egress policy no longer allows it`,
    };
  }

  #stillAsked(target: Target, until: number | null): boolean {
    return until !== null && Date.now() < until && this.#policy.asks(target);
  }

  /** @returns whom to go on with when a person allowed it */
  async #ask(
    target: Target,
    caller: Duplex,
  ): Promise<{ caller: Duplex; until: number } | Refusal | null> {
    const where = authorityOf(target);
    const { ask, principal } = this.#options;
    if (ask === undefined || !this.#policy.asks(target)) {
      return {
        status: 403,
        code: "egress-refused",
        message: `Cannot connect to "${where}": the principal's egress policy does not name it`,
        hint: `add "${where}" to egress.allow of the template or the assignment`,
      };
    }
    if (this.#held >= (this.#options.maxTunnels ?? 256)) {
      return {
        status: 503,
        code: "egress-busy",
        message: `Cannot connect to "${where}": too many connections wait for an answer`,
      };
    }
    this.#held++;
    try {
      const held = await hold(caller, { ask, principal, target, timeoutMs: this.#askTimeoutMs });
      if (held === null) return null;
      const { allowed, code, why, hint, until = Infinity } = held.answer;
      if (allowed) return { caller: held.caller, until };
      return {
        status: 403,
        code,
        message: `Cannot connect to "${where}": ${why}`,
        ...(hint === undefined ? {} : { hint }),
      };
    } finally {
      this.#held--;
    }
  }

  async #refuse(caller: Deno.UnixConn, target: Target | null, refusal: Refusal): Promise<void> {
    const { status, code, message } = refusal;
    this.#usage.refuse(target === null ? null : authorityOf(target));
    this.#options.onUsage?.();
    if (target !== null && status === 403) this.#options.onRefused?.(target, code);
    this.#options.log.warn("egress", {
      verdict: "refused",
      target: target === null ? null : authorityOf(target),
      code,
      why: message,
    });
    await writeRefusal(caller, refusal);
  }
}

const encoder = new TextEncoder();
