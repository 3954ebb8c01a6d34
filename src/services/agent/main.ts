// SPDX-License-Identifier: Apache-2.0

/**
 * The agent service as a program in its sandbox: it listens where services do, checks tokens by itself, keeps what it
 * is given in its home, and tells its room. docs/guide/sessions.md.
 */
import { systemClock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import { listenUnix } from "../../lib/http/mod.ts";
import { createProxyClient } from "../../lib/proxyclient/mod.ts";
import { TokenVerifier } from "../../lib/token/verify.ts";
import { Publisher } from "./publisher.ts";
import { createAgentService } from "./server.ts";
import { Store } from "./store.ts";

const LISTEN = "/run/bureau/listen/service.sock";
const PROXY = "/run/bureau/agent/proxy.sock";
const HOME = "/var/lib/bureau/agent-service";
const PRUNE_MS = 60 * 60 * 1000;

let publisher: Publisher | null = null;
const store = await Store.open({
  dir: HOME,
  clock: systemClock,
  changed: (agent) => publisher?.changed(agent),
});
await listenUnix(LISTEN, createAgentService(store, new TokenVerifier()), {
  onError: (thrown) => console.error(thrown),
});
console.log(`agent service listens on ${LISTEN}`);
void tellRoom();
while (true) {
  await store.prune().catch((thrown) => console.error(`prune: ${messageOf(thrown)}`));
  await systemClock.sleep(PRUNE_MS);
}

/** Agents are served whether or not there is a homeserver. */
async function tellRoom(): Promise<void> {
  const proxy = createProxyClient({ socket: PROXY });
  while (publisher === null) {
    try {
      const { room, user_id } = await proxy.identity();
      if (room === null || user_id === null) return console.log("it has no room to tell");
      publisher = new Publisher({
        store: () => store,
        matrix: proxy.matrix,
        room,
        service: user_id,
        clock: systemClock,
        signal: new AbortController().signal,
        warn: (text) => console.log(text),
      });
      // What changed while nobody told it.
      for (const agent of store.activeAgents()) publisher.changed(agent);
    } catch (thrown) {
      console.log(`cannot ask who I am yet: ${messageOf(thrown)}`);
      await systemClock.sleep(5_000);
    }
  }
}
