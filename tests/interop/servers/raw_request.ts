// SPDX-License-Identifier: Apache-2.0

/** Requests off a connection, byte for byte, as a careless upstream would read them, which notes what is ambiguous. */
export interface Seen {
  /** `GET /body?x HTTP/1.1` */
  readonly line: string;
  readonly path: string;
  /** With the request line, without the empty line. */
  readonly head: string;
  readonly body: string;
  /** Lower-case names, in order. */
  readonly headers: readonly (readonly [string, string])[];
}

const decoder = new TextDecoder("latin1");

export class RequestReader {
  #text = "";
  readonly #buffer = new Uint8Array(64 * 1024);

  constructor(
    readonly connection: Deno.Conn,
    /** Told of a message that two servers could read differently (RFC 9112 §6.3). */
    readonly ambiguous: (head: string) => void,
    /** Told before the body is read. */
    readonly begun: (head: string) => void | Promise<void> = () => {},
  ) {}

  async #more(): Promise<boolean> {
    const count = await this.connection.read(this.#buffer).catch(() => null);
    if (count === null) return false;
    this.#text += decoder.decode(this.#buffer.subarray(0, count));
    return true;
  }

  async #until(mark: string): Promise<string | null> {
    while (!this.#text.includes(mark)) if (!await this.#more()) return null;
    const end = this.#text.indexOf(mark);
    const found = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + mark.length);
    return found;
  }

  async #exactly(count: number): Promise<string | null> {
    while (this.#text.length < count) if (!await this.#more()) return null;
    const found = this.#text.slice(0, count);
    this.#text = this.#text.slice(count);
    return found;
  }

  /** @returns null when the peer closed */
  async next(): Promise<Seen | null> {
    const head = await this.#until("\r\n\r\n");
    if (head === null) return null;
    const [line, ...rest] = head.split("\r\n");
    const headers = rest.map((text): [string, string] => {
      const colon = text.indexOf(":");
      return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()];
    });
    const values = (name: string) => headers.filter(([each]) => each === name).map(([, v]) => v);
    const lengths = values("content-length");
    const codings = values("transfer-encoding");
    const odd = rest.some((text) => !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\0\r\n]*$/.test(text));
    if (
      odd || lengths.length + codings.length > 1 || !lengths.every((text) => /^\d+$/.test(text)) ||
      !codings.every((text) => text === "chunked")
    ) this.ambiguous(head);
    await this.begun(head);
    const body = codings.length > 0
      ? await this.#chunks()
      : await this.#exactly(Number(lengths[0] ?? 0));
    if (body === null) return null;
    return { line: line!, path: line!.split(" ")[1] ?? "", head, body, headers };
  }

  async #chunks(): Promise<string | null> {
    let body = "";
    while (true) {
      const line = await this.#until("\r\n");
      if (line === null) return null;
      const size = parseInt(line, 16);
      if (!(size > 0)) break;
      const piece = await this.#exactly(size);
      if (piece === null || await this.#until("\r\n") === null) return null;
      body += piece;
    }
    while (true) {
      const trailer = await this.#until("\r\n");
      if (trailer === null) return null;
      if (trailer === "") return body;
    }
  }
}
