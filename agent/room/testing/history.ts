// SPDX-License-Identifier: Apache-2.0
import type { Content, MatrixEvent } from "../../../src/lib/matrix/types.ts";
import type { ProxyClient } from "../../../src/lib/proxyclient/mod.ts";
import { Room } from "../room.ts";

export const ME = "@agent:b";

/** A room that pages as homeservers do. */
export class History {
  readonly events: MatrixEvent[] = [];
  readonly transactions = new Set<string>();

  add(sender: string, content: Content): string {
    const event_id = `$${this.events.length}`;
    this.events.push({ type: "m.room.message", sender, event_id, content });
    return event_id;
  }

  ask(body: string, more: Content = {}, sender = "@ada:b"): string {
    return this.add(sender, { msgtype: "m.text", body, ...more });
  }

  room(): Room {
    const matrix = {
      messages: (_: string, { from, limit }: { from?: string; limit: number }) => {
        const end = from === undefined ? this.events.length : Number(from);
        const start = Math.max(0, end - limit);
        const chunk = this.events.slice(start, end).reverse();
        return Promise.resolve({ chunk, start: "", ...(start > 0 ? { end: String(start) } : {}) });
      },
      send: (_: string, __: string, content: Content, txn: string) => {
        if (!this.transactions.has(txn)) this.add(ME, content);
        this.transactions.add(txn);
        return Promise.resolve("$");
      },
    };
    return new Room({ matrix } as unknown as ProxyClient, "!r", ME);
  }

  /** For each answer the messages that it answers. */
  answers(): { ids: readonly string[]; body: string }[] {
    return this.events.filter(({ sender }) => sender === ME).map(({ content }) => ({
      ids: content["m.bureau.answers"] as string[],
      body: String(content["body"]),
    }));
  }
}
