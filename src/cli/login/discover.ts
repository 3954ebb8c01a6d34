// SPDX-License-Identifier: Apache-2.0

/**
 * Where the homeserver of a server name is (Client-Server API, "Well-known URI"). A command of its own: only it
 * may reach the server itself, and only `login` the homeserver that this names.
 */
import * as z from "zod/mini";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { whyUnreachable } from "./unreachable.ts";

const TIMEOUT_MS = 20_000;
const MAX_BYTES = 64 * 1024;

const WellKnown = z.object({ "m.homeserver": z.object({ base_url: z.string() }) });

export const discover: CommandHandler = async (call) => {
  call.emit(await homeserverOf(call.args[0]!, fetch, call.signal));
};

/**
 * @param server `example.org`, perhaps with a port
 * @returns the URL; the server itself, by HTTPS, where it says nothing
 * @throws {CliError} `no-server`, `bad-well-known`
 */
export async function homeserverOf(
  server: string,
  ask: typeof fetch,
  signal?: AbortSignal,
): Promise<string> {
  const self = URL.parse(`https://${server}`);
  if (self === null || self.host === "" || `${self.pathname}${self.search}${self.hash}` !== "/") {
    throw new CliError("usage", `Cannot find a homeserver: "${server}" is no name of a server`);
  }
  const address = `${self.origin}/.well-known/matrix/client`;
  const wrong = (why: string, cause?: unknown) =>
    new CliError("bad-well-known", `Cannot use ${address}: ${why}`, {
      ...(cause === undefined ? {} : { cause }),
      status: 502,
      hint: "give the homeserver's own URL with --homeserver https://…, and tell its administrator",
    });
  let response: Response;
  try {
    response = await ask(address, {
      // Elsewhere this process may not go, and nobody said that it should.
      redirect: "manual",
      signal: AbortSignal.any([
        AbortSignal.timeout(TIMEOUT_MS),
        ...(signal === undefined ? [] : [signal]),
      ]),
    });
  } catch (thrown) {
    signal?.throwIfAborted();
    const { code, why, hint } = whyUnreachable(thrown);
    throw new CliError(code, `Cannot ask ${self.origin} for its homeserver: ${why}`, {
      cause: thrown,
      status: 502,
      hint: `${hint}; or give the homeserver's own URL with --homeserver`,
    });
  }
  if (response.status >= 300 && response.status < 400) {
    await response.body?.cancel();
    throw wrong("it redirects elsewhere");
  }
  if (response.status === 404) {
    await response.body?.cancel();
    return self.origin;
  }
  const text = await response.text();
  if (!response.ok) throw wrong(`the answer is ${response.status}`);
  if (text.length > MAX_BYTES) throw wrong("the answer is too long");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (thrown) {
    throw wrong("the answer is not JSON", thrown);
  }
  const known = z.safeParse(WellKnown, json);
  const url = known.success ? URL.parse(known.data["m.homeserver"].base_url) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.username !== "") {
    throw wrong("it names no homeserver (m.homeserver.base_url)");
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}
