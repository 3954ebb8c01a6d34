// SPDX-License-Identifier: Apache-2.0

/** Serves `ssh-agent.sock`: messages of at most 256 KiB, each answered before the next is read. */
import { concatBytes } from "../../lib/bytes.ts";
import { SshReader, sshString } from "../../lib/ssh/mod.ts";
import { PlainWire, type Wire } from "../wire.ts";
import type { SshAgentSession, SshDecision, SshKeyring } from "./keyring.ts";

/** OpenSSH's own limit (AGENT_MAX_LEN). */
const MAX_MESSAGE = 256 * 1024;
/** Beyond it the oldest connection is closed: an agent that holds some open must not lock itself out. */
const MAX_CONNECTIONS = 64;

export interface SshAgentServerOptions {
  readonly path: string;
  keyring: SshKeyring;
  readonly onDecision: (decision: SshDecision) => void;
}

export class SshAgentServer {
  readonly #options: SshAgentServerOptions;
  readonly #listener: Deno.UnixListener;
  readonly #open = new Set<Wire>();
  readonly #accepting: Promise<void>;

  /** @throws when the socket cannot be made */
  constructor(options: SshAgentServerOptions) {
    this.#options = options;
    this.#listener = Deno.listen({ transport: "unix", path: options.path });
    this.#accepting = this.#accept();
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        if (this.#open.size >= MAX_CONNECTIONS) this.#open.values().next().value?.close();
        void this.#serve(new PlainWire(connection));
      }
    } catch {
      // Closed by `close()`.
    }
  }

  async #serve(caller: Wire): Promise<void> {
    this.#open.add(caller);
    try {
      const session = this.#options.keyring.session(this.#options.onDecision);
      await converse(caller, session);
    } catch {
      // The caller left, or sent what is no message.
    } finally {
      this.#open.delete(caller);
      caller.close();
    }
  }

  /** Conversations with the old keys end: programs begin anew for each login. */
  renew(keyring: SshKeyring): void {
    this.#options.keyring = keyring;
    for (const caller of this.#open) caller.close();
  }

  async close(): Promise<void> {
    this.#listener.close();
    for (const caller of this.#open) caller.close();
    await this.#accepting;
  }
}

async function converse(caller: Wire, session: SshAgentSession): Promise<void> {
  let held: Uint8Array = new Uint8Array();
  while (true) {
    const more = await caller.read();
    if (more === null) return;
    held = held.length === 0 ? more : concatBytes([held, more]);
    while (held.length >= 4) {
      const length = new SshReader(held).uint32();
      if (length === 0 || length > MAX_MESSAGE) return;
      if (held.length < 4 + length) break;
      const answer = await session.answer(held.subarray(4, 4 + length));
      await caller.write(sshString(answer));
      held = held.subarray(4 + length);
    }
  }
}
