// SPDX-License-Identifier: Apache-2.0

/** Where the processes of this machine tell of themselves. */
import { UNIX_HOST } from "../../lib/http/mod.ts";

/** Of one process; one that tells more is not believed. */
const MAX_LENGTH = 1024 * 1024;

export interface Source {
  /** Label of its samples. */
  readonly process: string;
  /** Localpart of whom it works for, where there is one for each. */
  readonly principal?: string;
  /** What its metrics begin with, beside `bureau_process_`. */
  readonly prefix: string;
  /** That it is not there is no fault: relays come with their watchers. */
  readonly comesAndGoes?: boolean;
  /** @throws {NotThere} */
  readonly ask: (signal: AbortSignal) => Promise<string>;
}

/** Nothing listens there. */
export class NotThere extends Error {}

/** `GET /metrics` on a Unix socket. */
export async function askSocket(
  socket: string,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  try {
    return await ask(`http://${UNIX_HOST}/metrics`, { client, headers, signal });
  } finally {
    client.close();
  }
}

/** The embedded homeserver, by the token that it was started with. */
export function homeserverSource(url: string, token: string): Source {
  const headers = { authorization: `Bearer ${token}` };
  return {
    process: "homeserver",
    prefix: "bureau_homeserver_",
    ask: (signal) => ask(`${url}/_bureau/homeserver/v1/scrape`, { headers, signal }),
  };
}

async function ask(
  url: string,
  init: RequestInit & { readonly client?: Deno.HttpClient },
): Promise<string> {
  const response = await fetch(url, { ...init, redirect: "error" }).catch((thrown) => {
    throw init.signal?.aborted ? thrown : new NotThere(String(thrown));
  });
  let text = "";
  for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part;
    if (text.length > MAX_LENGTH) throw new Error("it tells too much");
  }
  if (!response.ok) throw new Error(`it answers ${response.status}`);
  return text;
}
