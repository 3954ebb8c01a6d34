// SPDX-License-Identifier: Apache-2.0

/** Services for who runs in no sandbox here: a token of one's own, or a request that the daemon passes on with one. */
import { type Handlers, UNIX_HOST } from "../../lib/http/mod.ts";
import { messageOf } from "../../lib/errors.ts";
import type { daemonApi } from "../api.ts";
import { DaemonError } from "../errors.ts";
import type { Served } from "../serve.ts";
import type { MintedToken } from "./mint.ts";

/** What of an answer is the caller's business. */
const PASSED = /^(content-type|content-length|bureau-.+)$/;

type Routes = "serviceToken" | "serviceGet" | "servicePost";

export function createServiceHandlers(
  { verifier, authority, services }: Pick<Served, "verifier" | "authority" | "services">,
): Pick<Handlers<typeof daemonApi>, Routes> {
  async function tokenFor(request: Request, role: string, what = {}): Promise<MintedToken> {
    const viewer = await verifier.userOf(request);
    const { machine } = authority.trust;
    if (authority.audited(viewer, "service/token", machine, { role, ...what })) {
      return await services.mint(viewer, role, authority.party(viewer).policy);
    }
    throw new DaemonError("forbidden", "Cannot make a token: you lack `service/token` here", {
      status: 403,
      hint: "operators have it; `bureau auth check me service/token machine` says why you don't",
    });
  }

  async function passOn(request: Request, role: string): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const path = pathname.slice(pathname.indexOf("/call/") + "/call".length);
    const { token, service } = await tokenFor(request, role, {
      call: `${request.method} ${path}`,
    });
    const client = Deno.createHttpClient({
      proxy: { transport: "unix", path: await reach(role, service) },
    });
    try {
      const answer = await fetch(`http://${UNIX_HOST}${path}${search}`, {
        ...{ client, method: request.method, body: request.body, signal: request.signal },
        headers: {
          authorization: `Bearer ${token}`,
          "accept-encoding": "identity",
          "content-type": request.headers.get("content-type") ?? "application/octet-stream",
        },
      });
      const { status, headers } = answer;
      return new Response(closing(answer.body, client), {
        status,
        headers: [...headers].filter(([name]) => PASSED.test(name)),
      });
    } catch (thrown) {
      client.close();
      throw unreachable(role, thrown);
    }
  }

  async function reach(role: string, service: string): Promise<string> {
    try {
      return await services.offer(service);
    } catch (thrown) {
      throw unreachable(role, thrown);
    }
  }

  return {
    serviceToken: ({ request, params }) => tokenFor(request, params["role"]!),
    serviceGet: ({ request, params }) => passOn(request, params["role"]!),
    servicePost: ({ request, params }) => passOn(request, params["role"]!),
  };
}

/** The connection ends with the answer, whole or not. */
function closing(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  client: Deno.HttpClient,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  return ReadableStream.from((async function* () {
    try {
      if (body !== null) yield* body;
    } finally {
      client.close();
    }
  })());
}

function unreachable(role: string, thrown: unknown): DaemonError {
  return new DaemonError(
    "unreachable",
    `Cannot reach the service that fills the role ${role}: ${messageOf(thrown)}`,
    { status: 502, cause: thrown, hint: "`bureau service list` shows it, and whether it runs" },
  );
}
