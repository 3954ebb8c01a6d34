// SPDX-License-Identifier: Apache-2.0

/** The agent service on a socket of its own, with real tokens: what tests of it and of its callers begin with. */
import { createClient } from "../../../lib/http/mod.ts";
import { listenUnix } from "../../../lib/http/mod.ts";
import type { Grant } from "../../../lib/schema/policy.ts";
import { generateTokenKey, signToken, tokenKeyId, TokenVerifier } from "../../../lib/token/mod.ts";
import { agentServiceApi } from "../api.ts";
import { createAgentService } from "../server.ts";
import { Store } from "../store.ts";

export const MACHINE = "@bureau/fleet/dev/machine/m:s";
const SERVICE = "@bureau/fleet/dev/service/agent:s";

export const ALICE = "@bureau/fleet/dev/agent/alice:s";
export const BOB = "@bureau/fleet/dev/agent/bob:s";

export type Bed = Awaited<ReturnType<typeof makeBed>>;

export async function makeBed(now: () => number = Date.now) {
  const dir = await Deno.makeTempDir({ prefix: "bureau-agent-service-" });
  const key = await generateTokenKey();
  const verifier = new TokenVerifier({
    trust: () =>
      Promise.resolve({
        version: 1,
        service: SERVICE,
        keys: [{ id: tokenKeyId(key.publicKey), machine: MACHINE, public_key: key.publicKey }],
        revoked: {},
      }),
  });
  const socket = `${dir}/service.sock`;
  const clock = { now };
  let store = await Store.open({ dir: `${dir}/kept`, clock });
  let server = await listenUnix(socket, createAgentService(store, verifier));
  const clients: { close(): void }[] = [];
  const shut = async () => {
    await server.shutdown();
    store[Symbol.dispose]();
  };

  return {
    dir,
    socket,
    get store() {
      return store;
    },
    /** Of whoever may do what `grants` say. */
    token: (subject: string, grants: readonly Grant[] = []) =>
      signToken(key, {
        ...{ machine: MACHINE, subject, service: SERVICE, role: "agent", now: Date.now() },
        policy: { grants: [...grants], denials: [] },
      }),
    async client(subject: string, grants: readonly Grant[] = []) {
      const client = createClient(agentServiceApi, {
        socket,
        token: await this.token(subject, grants),
      });
      clients.push(client);
      return client;
    },
    /** Nothing is closed in order: as if it had been killed and started anew. */
    async restart() {
      await shut();
      store = await Store.open({ dir: `${dir}/kept`, clock });
      server = await listenUnix(socket, createAgentService(store, verifier));
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await shut();
      await Deno.remove(dir, { recursive: true });
    },
  };
}
