// SPDX-License-Identifier: Apache-2.0

/** Server-sent events (HTML Living Standard §9.2), their lines ended by LF or CRLF, as servers write them. */

export interface ServerSentEvent {
  /** Empty when the event came without one. */
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** A longer event is a broken server's. */
const MAX_EVENT_CHARS = 4 * 1024 * 1024;

/**
 * @param onBytes called for each piece that comes, so that a caller can tell silence
 * @throws {RangeError} for an event without end; what the stream throws
 */
export async function* readServerSentEvents(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void = () => {},
): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let pending = "";
  for await (const chunk of body) {
    onBytes();
    pending = (pending + decoder.decode(chunk, { stream: true })).replaceAll("\r\n", "\n");
    const blocks = pending.split("\n\n");
    pending = blocks.pop()!;
    if (pending.length > MAX_EVENT_CHARS) {
      throw new RangeError("an event of the stream is too long");
    }
    for (const block of blocks) {
      const event = parseBlock(block);
      if (event !== null) yield event;
    }
  }
}

function parseBlock(block: string): ServerSentEvent | null {
  const fields: Record<string, string> = {};
  for (const line of block.split("\n")) {
    const at = line.indexOf(":");
    if (at <= 0) continue;
    const name = line.slice(0, at);
    const value = line.slice(at + 1).replace(/^ /, "");
    fields[name] = name === "data" && name in fields ? `${fields[name]}\n${value}` : value;
  }
  if (fields["data"] === undefined) return null;
  return { id: fields["id"] ?? "", event: fields["event"] ?? "message", data: fields["data"] };
}
