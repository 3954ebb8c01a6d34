// SPDX-License-Identifier: Apache-2.0

/**
 * The example service: says back what it was sent, to whoever may `service/<role>/say`. All it knows of its
 * callers is what their tokens say, which it checks without a network.
 */
import { TokenVerifier } from "../../src/lib/token/verify.ts";
import { TokenError } from "../../src/lib/token/errors.ts";

const SOCKET = "/run/bureau/listen/service.sock";
const MAX_BYTES = 64 * 1024;
const verifier = new TokenVerifier();

async function answer(request: Request): Promise<Response> {
  const caller = await verifier.caller(request);
  const { pathname } = new URL(request.url);
  const { subject, machine, role, service } = caller;
  if (request.method === "GET" && pathname === "/v1/caller") {
    // Needs a token, and no grant.
    return Response.json({ caller: subject, machine, role, service });
  }
  if (request.method === "POST" && pathname === "/v1/say") {
    caller.require("say");
    if (Number(request.headers.get("content-length") ?? 0) > MAX_BYTES) {
      return failure(413, "too-large", `Cannot say more than ${MAX_BYTES} bytes`);
    }
    return Response.json({ caller: subject, said: await request.text(), by: service });
  }
  return failure(
    404,
    "no-such-path",
    `Cannot ${request.method} "${pathname}": there is no such path`,
  );
}

function failure(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status });
}

await Deno.remove(SOCKET).catch(() => {});
Deno.serve({
  path: SOCKET,
  onListen: () => console.log(`echo listens on ${SOCKET}`),
  onError: (thrown) => {
    if (thrown instanceof TokenError) {
      console.log(`refused: ${thrown.message}`);
      return Response.json(thrown.toBody(), { status: thrown.status });
    }
    console.error(thrown);
    return failure(500, "internal", "Cannot answer: see the service's terminal");
  },
}, answer);
