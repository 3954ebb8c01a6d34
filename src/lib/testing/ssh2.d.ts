// SPDX-License-Identifier: Apache-2.0

/** What the tests use of `ssh2`. Its own types bring another Node's, without what Deno's has. */
import type { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";

export interface ParsedKey {
  getPublicSSH(): Buffer;
  verify(data: Buffer, signature: Buffer, algorithm?: string): boolean | Error;
}

export interface Authentication {
  readonly method: string;
  readonly key: { readonly data: Buffer };
  readonly signature?: Buffer;
  readonly blob?: Buffer;
  readonly hashAlgo?: string;
  accept(): void;
  reject(methods: string[]): void;
}

export type Channel = Duplex & { readonly stderr: Duplex; exit(status: number): void };

export interface Session {
  on(
    event: "exec",
    listener: (accept: () => Channel, reject: () => void, info: { command: string }) => void,
  ): this;
}

export interface Connection {
  on(event: "authentication", listener: (context: Authentication) => void): this;
  on(event: "session", listener: (accept: () => Session) => void): this;
  on(event: "error" | "close", listener: () => void): this;
  end(): void;
}

declare class Server {
  constructor(options: { hostKeys: string[] }, onClient: (client: Connection) => void);
  listen(port: number, host: string, onListening: () => void): void;
  address(): { port: number };
  close(onClosed: () => void): void;
}

declare const ssh2: {
  Server: typeof Server;
  utils: { parseKey(text: string): ParsedKey | ParsedKey[] | Error };
};
export default ssh2;
