// SPDX-License-Identifier: Apache-2.0

/** Rooms by alias, and spaces. */
import type { MatrixClient } from "./client.ts";
import { hasErrcode, MessagingError } from "./errors.ts";
import { path } from "./request.ts";
import type { CreateRoomOptions, MatrixEvent } from "./types.ts";

export interface NamedRoom {
  readonly id: string;
  readonly created: boolean;
}

/**
 * The room of this alias, made if there is none. Of several who ask at one time one makes it, and all get
 * the same. Whoever finds it has not joined it, and knows nothing of who made it: where that matters, look
 * at its power levels (`maySpeakFor`).
 * @param alias `#local:server`
 * @param create without `room_alias_name`, which is the alias's
 */
export async function openRoom(
  client: MatrixClient,
  alias: string,
  create: Omit<CreateRoomOptions, "room_alias_name">,
): Promise<NamedRoom> {
  const localpart = /^#([^:]+):.+$/.exec(alias)?.[1];
  if (localpart === undefined) {
    throw new MessagingError("bad-alias", `Cannot open "${alias}": it is no room alias`, {
      status: 400,
      hint: "an alias is #name:server",
    });
  }
  const found = await client.resolveAlias(alias);
  if (found !== null) return { id: found, created: false };
  try {
    const id = await client.createRoom({ ...create, room_alias_name: localpart });
    return { id, created: true };
  } catch (thrown) {
    if (!hasErrcode(thrown, "M_ROOM_IN_USE")) throw thrown;
    const other = await client.resolveAlias(alias);
    // Taken when it was to be made, gone when it was to be found: whose it is changes just now.
    if (other === null) throw thrown;
    return { id: other, created: false };
  }
}

/** A space: a room whose children are rooms. */
export async function createSpace(
  client: MatrixClient,
  options: CreateRoomOptions,
): Promise<string> {
  return await client.createRoom({
    ...options,
    creation_content: { ...options.creation_content, type: "m.space" },
  });
}

export interface ChildOptions {
  /** Servers that know the room. */
  readonly via: readonly string[];
  /** Children are sorted by this text. */
  readonly order?: string;
  readonly suggested?: boolean;
}

/** Repeating it is free. The child itself says nothing of its parent: whoever owns it may. */
export async function addChild(
  client: MatrixClient,
  space: string,
  child: string,
  { via, order, suggested }: ChildOptions,
): Promise<void> {
  await client.putState(space, "m.space.child", child, {
    via,
    ...(order === undefined ? {} : { order }),
    ...(suggested === undefined ? {} : { suggested }),
  });
}

export async function removeChild(
  client: MatrixClient,
  space: string,
  child: string,
): Promise<void> {
  await client.putState(space, "m.space.child", child, {});
}

export interface SpaceRoom {
  readonly room_id: string;
  readonly name?: string;
  readonly canonical_alias?: string;
  readonly room_type?: string;
  readonly num_joined_members: number;
  readonly children_state: readonly MatrixEvent[];
}

/** The space and everything below it that the account may see, depth first, page by page. */
export async function* hierarchy(
  client: MatrixClient,
  space: string,
  options: { readonly maxDepth?: number; readonly signal?: AbortSignal } = {},
): AsyncGenerator<SpaceRoom> {
  let from: string | undefined;
  do {
    const page: { rooms: SpaceRoom[]; next_batch?: string } = await client.request(
      "GET",
      path`/_matrix/client/v1/rooms/${space}/hierarchy`,
      {
        what: `list the space "${space}"`,
        query: { from, limit: 50, max_depth: options.maxDepth },
        signal: options.signal,
      },
    );
    yield* page.rooms;
    // A server that stands still would never end.
    if (page.next_batch === from) return;
    from = page.next_batch;
  } while (from !== undefined);
}
