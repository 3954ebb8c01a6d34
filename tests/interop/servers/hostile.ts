// SPDX-License-Identifier: Apache-2.0

/** An upstream over TLS that tells everybody what it was told, in well-formed and in broken HTTP. */
import { bytesOf, echoes, malformed } from "./hostile_answers.ts";
import { RequestReader, type Seen } from "./raw_request.ts";
import { type Authority, DOMAIN, type Served } from "./tls.ts";

export interface Hostile extends Served {
  /** Request lines, with the body's length. */
  readonly lines: readonly string[];
  /** Heads that could be read in two ways. */
  readonly ambiguous: readonly string[];
  /** Requests that came with the secret. */
  readonly known: () => number;
  readonly open: () => number;
  /** Bodies that ended before their end. */
  readonly broken: () => number;
}

const EARLY = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n";

export function startHostile(secret: string, authority: Authority): Hostile {
  const lines: string[] = [];
  const ambiguous: string[] = [];
  let known = 0;
  let broken = 0;
  const open = new Set<Deno.Conn>();
  const listener = Deno.listenTls({
    hostname: "127.0.0.1",
    port: 0,
    cert: authority.cert,
    key: authority.key,
  });
  const serve = async (connection: Deno.Conn) => {
    open.add(connection);
    let unfinished = 0;
    const reader = new RequestReader(connection, (head) => ambiguous.push(head), async (head) => {
      unfinished = 1;
      // An answer that begins before the body has ended.
      if (head.startsWith("POST /early ")) await writeAll(connection, EARLY);
    });
    try {
      while (true) {
        const seen = await reader.next();
        if (seen === null) break;
        unfinished = 0;
        lines.push(`${seen.line} (${seen.body.length})`);
        if (seen.head.includes(secret)) known++;
        if (!await respond(connection, seen, secret)) break;
      }
    } catch {
      // The proxy may close at any time: it is right to, here.
    } finally {
      broken += unfinished;
      open.delete(connection);
      close(connection);
    }
  };
  const accepting = (async () => {
    while (true) {
      try {
        const connection = await listener.accept();
        void serve(connection);
      } catch (thrown) {
        // A handshake that failed is the caller's matter.
        if (thrown instanceof Deno.errors.BadResource) return;
      }
    }
  })();
  return {
    host: `hostile.${DOMAIN}`,
    port: listener.addr.port,
    lines,
    ambiguous,
    known: () => known,
    open: () => open.size,
    broken: () => broken,
    async [Symbol.asyncDispose]() {
      close(listener);
      for (const connection of open) close(connection);
      await accepting;
    },
  };
}

function close(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // It was closed by the other side.
  }
}

/** @returns whether the connection goes on */
async function respond(connection: Deno.Conn, seen: Seen, secret: string): Promise<boolean> {
  const name = seen.path.split(/[/?]/)[1] ?? "";
  const make = echoes[name] ?? malformed[name];
  if (make === undefined) {
    const body = `${seen.head}\n${seen.body}`;
    await writeAll(connection, `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    return true;
  }
  const answer = await make(seen, secret);
  const pieces = typeof answer === "string" ? [answer] : answer;
  for (const [at, piece] of pieces.entries()) {
    // Apart on the wire, so that a secret arrives in two reads.
    if (at > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await writeAll(connection, piece);
  }
  return name === "two-answers";
}

async function writeAll(connection: Deno.Conn, text: string): Promise<void> {
  const bytes = bytesOf(text);
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}
