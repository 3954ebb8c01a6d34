// SPDX-License-Identifier: Apache-2.0

/** `proxy call`: one request to an agent's proxy, as the agent would make it, with its grants and its credentials. */
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { messageOf } from "../../lib/errors.ts";

const METHOD = /^[A-Za-z]{1,16}$/;

export const call: CommandHandler = async ({ args, flags, signal }) => {
  const [name = "", method = "", path = ""] = args;
  const socket = flags["socket"];
  if (typeof socket !== "string" || !socket.startsWith("/")) {
    throw new CliError(
      "not-running",
      `Cannot reach the proxy of "${name}": no such agent runs here`,
      {
        hint:
          "`sh tasks/bureau agent list` shows what runs; as another user its proxy is out of reach",
      },
    );
  }
  if (!METHOD.test(method)) {
    throw new CliError(
      "usage",
      `Cannot use the method "${method.slice(0, 40)}": give GET, POST, …`,
    );
  }
  if (!path.startsWith("/")) {
    throw new CliError(
      "usage",
      `Cannot ask for "${path.slice(0, 80)}": a path starts with a slash`,
      {
        hint: "/v1/identity, /v1/services, /http/<service>/…",
      },
    );
  }
  const headers = new Headers();
  for (const text of (flags["header"] ?? []) as readonly string[]) {
    const at = text.indexOf(":");
    if (at < 1) throw new CliError("usage", "Cannot use a header: it is not `Name: value`");
    headers.append(text.slice(0, at), text.slice(at + 1).trim());
  }
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  try {
    const answer = await fetch(`http://192.0.2.1${path}`, {
      client,
      method: method.toUpperCase(),
      headers,
      signal,
      redirect: "manual",
      ...(flags["body"] === true ? { body: Deno.stdin.readable } : {}),
    });
    if (flags["include"] === true) {
      console.error(`${answer.status} ${answer.statusText}`.trimEnd());
      for (const [key, value] of answer.headers) console.error(`${key}: ${value}`);
      console.error("");
    }
    await answer.body?.pipeTo(Deno.stdout.writable, { preventClose: true });
    if (answer.status < 400) return undefined;
    throw new CliError("refused", `The answer's status is ${answer.status}`, {
      hint: "what was answered stands above",
    });
  } catch (thrown) {
    if (thrown instanceof CliError) throw thrown;
    throw new CliError("unreachable", `Cannot reach the proxy of "${name}": ${messageOf(thrown)}`, {
      hint: "`sh tasks/bureau agent show` says whether it runs",
    });
  } finally {
    client.close();
  }
};
