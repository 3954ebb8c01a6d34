// SPDX-License-Identifier: Apache-2.0

/** Values come on stdin: `sh tasks/bureau` puts a file there, as this process may not read it. Never by argument. */
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";

/** Longer ones do not fit an event. */
const MAX_BYTES = 64 * 1024;

/**
 * @param file the argument: `-`, or absent
 * @param what is asked for on a terminal, where what is typed is not shown
 * @throws {CliError} `no-such-file`, `usage`, `cancelled`
 */
export async function readSecretInput(file: string | undefined, what: string): Promise<string> {
  if (file !== undefined && file !== "-") {
    throw new CliError("no-such-file", `Cannot read "${file}": there is no such file`, {
      status: 404,
      hint: "name a file, or leave it out and write to stdin",
    });
  }
  if (Deno.stdin.isTerminal()) return await askUnseen(what);
  const bytes = new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer());
  if (bytes.length > MAX_BYTES) throw usage("it is larger than 64 KiB");
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw usage("it is not UTF-8");
  }
}

/** One line from the terminal, which stays dark. */
export async function askUnseen(what: string): Promise<string> {
  const say = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
  say(`${what}: `);
  Deno.stdin.setRaw(true);
  const decoder = new TextDecoder();
  let text = "";
  try {
    const buffer = new Uint8Array(4096);
    while (true) {
      const count = await Deno.stdin.read(buffer);
      const piece = count === null ? "\x04" : decoder.decode(buffer.subarray(0, count));
      for (const key of piece) {
        if (key === "\x03") throw new CliError("cancelled", "Cancelled: nothing was changed");
        if (key === "\r" || key === "\n" || key === "\x04") return text;
        text = key === "\x7f" ? text.slice(0, -1) : text + key;
        if (text.length > MAX_BYTES) throw usage("it is larger than 64 KiB");
      }
    }
  } finally {
    Deno.stdin.setRaw(false);
    say("\n");
  }
}

/** @throws {CliError} `usage` where it is no JSON; what it says is never quoted */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw usage("it is not JSON");
  }
}

/**
 * `--expires`: `30d`, `12h`, or a time such as `2027-01-01` or `2027-01-01T12:00:00Z`.
 *
 * @returns ms epoch
 */
export function expiryOf(call: Invocation, now = Date.now()): number | undefined {
  const text = call.flags["expires"];
  if (text === undefined) return undefined;
  const span = /^(\d{1,5})([mhd])$/.exec(String(text));
  const at = span === null ? Date.parse(String(text)) : now +
    Number(span[1]) * { m: 60_000, h: 3_600_000, d: 86_400_000 }[span[2] as "m" | "h" | "d"];
  if (Number.isNaN(at) || at <= now) {
    throw new CliError(
      "usage",
      `Cannot use --expires ${JSON.stringify(text)}: it is no time to come`,
      { hint: "for example 30d, 12h, or 2027-01-01" },
    );
  }
  return at;
}

const usage = (why: string) => new CliError("usage", `Cannot read the credentials: ${why}`);
