// SPDX-License-Identifier: Apache-2.0

/** Templates and assignments as they stand in the operator's rooms. Each room is read once. */
import { messageOf } from "../../lib/errors.ts";
import {
  formatTemplateRef,
  isLocalpart,
  parseRoomAlias,
  parseTemplateRef,
  parseUserId,
  roomAlias,
  stateKey,
  type TemplateRef,
} from "../../lib/ref/mod.ts";
import { type Assignment, EventType, parseEvent, type Template } from "../../lib/schema/mod.ts";
import { type Trace, traceTemplate } from "../../lib/template/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import {
  type Content,
  type MatrixClient,
  maySpeakFor,
  type StateEvent,
} from "../../messaging/mod.ts";
import { CliError } from "../framework/exit.ts";
import type { OperatorSession } from "../session.ts";

/** A template as published. */
export interface Published {
  /** As an assignment names it; null where its room has no alias. */
  readonly reference: string | null;
  readonly room: string;
  readonly name: string;
  readonly sender: string;
  readonly at: number | null;
  /** Whether the sender is believed: level 100 in that room. */
  readonly trusted: boolean;
  readonly content: Content;
}

/** An assignment as it stands, with where it stands. */
export interface Assigned {
  readonly room: string;
  readonly key: string;
  readonly content: Content;
  readonly assignment: Assignment;
}

/** Templates that are not there yet, by reference: what would be if they were. */
export type Drafts = ReadonlyMap<string, Template>;

/** Rooms that are read at once. */
const AT_ONCE = 8;

export class TemplateStore {
  readonly client: MatrixClient;
  readonly #session: OperatorSession;
  readonly #states = new Map<string, Promise<StateEvent[]>>();
  readonly #aliases = new Map<string, Promise<string | null>>();

  constructor(client: MatrixClient, session: OperatorSession) {
    this.client = client;
    this.#session = session;
  }

  /** The reference as an assignment of this server would write it. */
  normal(text: string): string {
    return this.#key(parseTemplateRef(text));
  }

  #key(ref: TemplateRef): string {
    const own = ref.server === this.#session.server_name;
    return formatTemplateRef(own ? { room: ref.room, name: ref.name } : ref);
  }

  state(room: string): Promise<StateEvent[]> {
    let state = this.#states.get(room);
    if (state === undefined) this.#states.set(room, state = this.client.roomState(room));
    return state;
  }

  /** @throws {CliError} `no-such-room` */
  async roomOf(ref: Pick<TemplateRef, "room" | "server">): Promise<string> {
    const alias = roomAlias(ref.room, ref.server ?? this.#session.server_name);
    let id = this.#aliases.get(alias);
    if (id === undefined) this.#aliases.set(alias, id = this.client.resolveAlias(alias));
    const room = await id;
    if (room !== null) return room;
    throw new CliError("no-such-room", `Cannot find the room "${alias}"`, {
      status: 404,
      hint: "`bureau template list` shows what templates there are",
    });
  }

  /** Null when the room has none of that name. */
  async find(ref: TemplateRef): Promise<Published | null> {
    const room = await this.roomOf(ref);
    const state = await this.state(room);
    const event = state.find(({ type, state_key: key }) =>
      type === EventType.template && key === ref.name
    );
    return event === undefined ? null : published(event, room, state, this.#key(ref));
  }

  /** @throws {CliError} `no-such-template`, `untrusted-sender` */
  async fetch(ref: TemplateRef): Promise<Template> {
    const found = await this.find(ref);
    if (found === null) {
      throw new CliError("no-such-template", `Cannot find the template "${this.#key(ref)}"`, {
        status: 404,
        hint: "`bureau template list` shows what templates there are",
      });
    }
    if (!found.trusted) {
      throw new CliError(
        "untrusted-sender",
        `Cannot use the template "${this.#key(ref)}": ${
          neutraliseLine(found.sender)
        } has no power level 100 in its room`,
        { hint: "push it again as the operator, or take that sender's right to write state" },
      );
    }
    return parseEvent(EventType.template, found.content)!;
  }

  /** What a template is with all it inherits, and `extra` on top. @throws what is wrong with it */
  trace(
    reference: string,
    drafts: Drafts = new Map(),
    extra: readonly string[] = [],
  ): Promise<Trace> {
    return traceTemplate(reference, (ref) => {
      const draft = drafts.get(this.#key(ref));
      return draft === undefined ? this.fetch(ref) : Promise.resolve(draft);
    }, extra);
  }

  /** The same, or why not. */
  async tryTrace(
    reference: string,
    drafts?: Drafts,
    extra?: readonly string[],
  ): Promise<Trace | string> {
    try {
      return await this.trace(reference, drafts, extra);
    } catch (thrown) {
      return messageOf(thrown);
    }
  }

  /** Every room that the operator is in, with its state. */
  async rooms(): Promise<(readonly [string, StateEvent[]])[]> {
    const rooms = await this.client.joinedRooms();
    const all: (readonly [string, StateEvent[]])[] = [];
    for (let at = 0; at < rooms.length; at += AT_ONCE) {
      const some = rooms.slice(at, at + AT_ONCE);
      all.push(...await Promise.all(some.map(async (id) => [id, await this.state(id)] as const)));
    }
    return all;
  }

  async templates(): Promise<Published[]> {
    const all: Published[] = [];
    for (const [room, state] of await this.rooms()) {
      const where = this.#roomName(state);
      for (const event of state) {
        if (event.type !== EventType.template) continue;
        const reference = where === null ? null : `${where}:${event.state_key}`;
        all.push(published(event, room, state, reference));
      }
    }
    return all;
  }

  /** Localpart of a room's own alias, with the server where it is another one. */
  #roomName(state: readonly StateEvent[]): string | null {
    const alias = state.find(({ type }) => type === "m.room.canonical_alias")?.content["alias"];
    try {
      const { localpart, server } = parseRoomAlias(String(alias));
      if (!isLocalpart(localpart)) return null;
      return server === this.#session.server_name ? localpart : `${localpart}@${server}`;
    } catch {
      return null;
    }
  }

  /** Every assignment that runs or may run again, on any machine whose config room the operator is in. */
  async assignments(): Promise<Assigned[]> {
    const all: Assigned[] = [];
    for (const [room, state] of await this.rooms()) {
      for (const { type, state_key: key, content } of state) {
        if (type !== EventType.assignment) continue;
        try {
          const assignment = parseEvent(EventType.assignment, content);
          if (assignment === null || assignment.desired === "absent") continue;
          // A copy in another room, or under another's name, is nobody's assignment.
          const { localpart, server } = parseUserId(assignment.machine);
          if (stateKey(assignment.principal) !== key) continue;
          if (await this.roomOf({ room: localpart, server }) !== room) continue;
          all.push({ room, key, content, assignment });
        } catch {
          // Malformed, or of a machine that has no room: nobody runs it either.
        }
      }
    }
    return all.sort((a, b) => a.key.localeCompare(b.key));
  }
}

function published(
  event: StateEvent,
  room: string,
  state: readonly StateEvent[],
  reference: string | null,
): Published {
  const levels = state.find(({ type }) => type === "m.room.power_levels");
  const { allowed } = maySpeakFor(event.sender, null, {
    type: EventType.template,
    levels: levels && { content: levels.content, sender: levels.sender, eventId: undefined },
    admins: [],
  });
  return {
    reference,
    room,
    name: event.state_key,
    sender: event.sender,
    at: event.origin_server_ts ?? null,
    trusted: allowed,
    content: event.content,
  };
}
