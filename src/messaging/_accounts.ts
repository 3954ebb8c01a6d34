// SPDX-License-Identifier: Apache-2.0

/** For tests: accounts on a homeserver, and what they see of it. */
import { createMatrixClient, registerWithSharedSecret, runSync } from "./mod.ts";
import type { MatrixClient, MatrixEvent } from "./mod.ts";

export type Account = MatrixClient & { readonly id: string };

export async function account(url: string, user: string, secret: string): Promise<Account> {
  const options = { homeserverUrl: url };
  const about = { user, password: `password of ${user}` };
  const session = await registerWithSharedSecret(options, about, secret);
  const client = createMatrixClient({ ...options, accessToken: session.access_token });
  return Object.assign(client, { id: session.user_id });
}

/** Gives every event of an account's sync to `visit`; resolves when the first has come. */
export async function follow(
  client: Account,
  visit: (room: string, event: MatrixEvent) => void,
): Promise<AsyncDisposable> {
  const stop = new AbortController();
  const synced = Promise.withResolvers<void>();
  const loop = runSync({
    client,
    userId: client.id,
    filter: {},
    store: { load: () => Promise.resolve({}), save: () => Promise.resolve() },
    signal: stop.signal,
    onBatch({ joined }) {
      for (const { room, timeline } of joined) for (const event of timeline) visit(room, event);
      synced.resolve();
    },
  });
  loop.catch((thrown) => synced.reject(thrown));
  await synced.promise;
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await loop;
    },
  };
}
