// SPDX-License-Identifier: Apache-2.0

/**
 * An MCP server that is a program: its stdin and stdout, a message a line. The SDK's own transport starts programs by way
 * of Node, which no bundle can hold, and kills one process where there may be several.
 */
import { deserializeMessage, serializeMessage } from "@modelcontextprotocol/sdk/shared/stdio.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import { killGroup } from "../tools/process.ts";

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

const MAX_LINE = 16 * 1024 * 1024;
/** How long it may take to end by itself once its stdin has ended. */
const GRACE_MS = 2_000;

export class StdioTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #program: Program;
  #child: Deno.ChildProcess | null = null;
  #input: WritableStreamDefaultWriter<Uint8Array> | null = null;
  #ended: Promise<void> = Promise.resolve();

  constructor(program: Program) {
    this.#program = program;
  }

  start(): Promise<void> {
    const { command, args, env, cwd } = this.#program;
    const child = new Deno.Command(command, {
      args: [...args],
      env: { ...env },
      clearEnv: true,
      cwd,
      // A group of its own, which ends whole.
      detached: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.#ended = this.#read(child);
    return Promise.resolve();
  }

  async #read(child: Deno.ChildProcess): Promise<void> {
    let pending = "";
    try {
      for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
        pending += text;
        const lines = pending.split("\n");
        pending = lines.pop()!;
        if (pending.length > MAX_LINE) throw new Error("the MCP server's line has no end");
        for (const line of lines) this.#deliver(line);
      }
    } catch (thrown) {
      this.onerror?.(thrown as Error);
      killGroup(child.pid);
    }
    await child.status;
    this.onclose?.();
  }

  /** A line that is no message is left out. */
  #deliver(line: string): void {
    if (line.trim() === "") return;
    try {
      this.onmessage?.(deserializeMessage(line));
    } catch (thrown) {
      this.onerror?.(thrown as Error);
    }
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#input === null) throw new Error("the MCP server has ended");
    await this.#input.write(new TextEncoder().encode(serializeMessage(message)));
  }

  /** Ends its stdin, then, after a while, the program and what it started. */
  async close(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    const input = this.#input!;
    this.#input = null;
    await input.close().catch(() => {});
    const timer = setTimeout(() => killGroup(child.pid), GRACE_MS);
    await child.status;
    clearTimeout(timer);
    killGroup(child.pid);
    await this.#ended;
  }
}
