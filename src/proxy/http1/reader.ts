// SPDX-License-Identifier: Apache-2.0

/** Reads responses off one connection: heads, then bodies by their framing, one exchange after another. */
import type { Wire } from "../wire.ts";
import {
  framingOf,
  latin1,
  malformed,
  MAX_HEAD_BYTES,
  parseHead,
  type ResponseHead,
} from "./head.ts";
import { MessageReader } from "./message.ts";

export class ResponseReader extends MessageReader {
  constructor(wire: Wire) {
    super(wire, MAX_HEAD_BYTES, malformed);
  }

  /**
   * The next final head; interim (1xx) ones are passed over.
   *
   * @throws {ProxyError} `bad-upstream-response` when it is malformed or the connection ends first
   */
  async readHead(method: string): Promise<ResponseHead> {
    this.started = false;
    for (let interim = 0; interim < 16; interim++) {
      const head = parseHead(latin1(await this.takeHead()));
      if (head.status === 101) throw malformed("it switches protocols, which was not asked for");
      if (head.status < 200) continue;
      this.begin(framingOf(head, method));
      return head;
    }
    throw malformed("it sends interim responses without end");
  }

  /**
   * The answer to a request that asks for another protocol: 101, or a refusal, whose body is not read.
   *
   * @throws {ProxyError} as `readHead`
   */
  async readSwitch(): Promise<ResponseHead> {
    for (let interim = 0; interim < 16; interim++) {
      const head = parseHead(latin1(await this.takeHead()));
      if (head.status === 101 || head.status >= 200) return head;
    }
    throw malformed("it sends interim responses without end");
  }
}
