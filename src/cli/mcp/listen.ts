// SPDX-License-Identifier: Apache-2.0

/** Where `mcp serve --http` listens: loopback with a token, or a socket that is its owner's alone. */
import { randomBytes } from "node:crypto";
import { systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { listenUnix } from "../../lib/http/mod.ts";
import { HttpFront } from "../../mcp/http.ts";
import type { Sdk } from "../../mcp/load.ts";
import type { Server } from "../../mcp/sdk.ts";
import { readText, writeIfDifferent } from "../files.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";

const PATH = "/mcp";
const LOOPBACK = /^(127\.0\.0\.1|\[::1\]):(\d{1,5})$/;

export async function serveHttp(
  call: Invocation,
  address: string,
  sdk: Sdk,
  makeServer: () => Server,
): Promise<undefined> {
  const common = { path: PATH, sdk, makeServer, clock: systemClock };
  if (address.startsWith("/")) {
    await refuseTaken(address);
    const front = new HttpFront({ ...common, hosts: null, token: null });
    const server = await listenUnix(address, front.handle, { mode: 0o600, signal: call.signal });
    call.print(`listening on ${address}, path ${PATH}`);
    await untilEnd(call.signal, front, server);
    await Deno.remove(address).catch(() => {});
    return;
  }
  const [, hostname, port] = LOOPBACK.exec(address) ?? [];
  if (hostname === undefined) {
    throw new CliError("usage", `Cannot listen at "${address}": it is not on loopback`, {
      hint: "--http 127.0.0.1:8650, [::1]:8650, or the absolute path of a Unix socket",
    });
  }
  const { token, file } = await tokenOf(call);
  const hosts = new Set<string>();
  const front = new HttpFront({ ...common, hosts, token });
  const server = listenTcp(hostname.replace(/[\[\]]/g, ""), Number(port), front, call.signal);
  const bound = server.addr.port;
  for (const name of [hostname, "localhost"]) hosts.add(`${name}:${bound}`);
  call.print(`listening on http://${hostname}:${bound}${PATH}; the token is in ${file}`);
  await untilEnd(call.signal, front, server);
}

function listenTcp(
  hostname: string,
  port: number,
  front: HttpFront,
  signal: AbortSignal,
): Deno.HttpServer<Deno.NetAddr> {
  try {
    return Deno.serve({ hostname, port, signal, onListen() {} }, front.handle);
  } catch (thrown) {
    throw new CliError(
      "cannot-listen",
      `Cannot listen at ${hostname}:${port}: ${messageOf(thrown)}`,
      { hint: "name another port" },
    );
  }
}

/** Streams that clients hold open end with their sessions; only then is the server done. */
async function untilEnd(
  signal: AbortSignal,
  front: HttpFront,
  server: { readonly finished: Promise<void> },
): Promise<void> {
  const aborted = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await Promise.race([server.finished, aborted]);
  await front.close();
  await server.finished;
}

/** A socket that an earlier server left is taken away; anything else there is somebody's. */
async function refuseTaken(path: string): Promise<void> {
  let found: Deno.FileInfo;
  try {
    found = await Deno.lstat(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return;
    throw new CliError("usage", `Cannot listen at "${path}": ${messageOf(thrown)}`);
  }
  if (found.isSocket !== true) {
    throw new CliError("usage", `Cannot listen at "${path}": a file of that name is there`);
  }
  const there = await Deno.connect({ transport: "unix", path }).catch(() => null);
  if (there === null) return;
  there.close();
  throw new CliError("cannot-listen", `Cannot listen at "${path}": another server does`);
}

/** The same from one start to the next, so that clients are set up once; removing the file makes another. */
async function tokenOf({ stateDir }: Invocation): Promise<{ token: string; file: string }> {
  const file = `${stateDir}/operator/mcp-token`;
  const known = (await readText(file))?.trim() ?? "";
  if (/^[A-Za-z0-9_-]{43}$/.test(known)) return { token: known, file };
  const token = randomBytes(32).toString("base64url");
  await writeIfDifferent(file, token + "\n");
  return { token, file };
}
