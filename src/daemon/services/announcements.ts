// SPDX-License-Identifier: Apache-2.0

/**
 * What this machine says of itself in the fleet's rooms: its services, its keys for tokens and what it
 * revoked. The newest wins; nothing waits for it.
 */
import type { Clock } from "../../lib/clock.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { roomAlias, stateKey } from "../../lib/ref/mod.ts";
import { EventType, type Service, type TokenSigningKey } from "../../lib/schema/mod.ts";
import type { Revocation } from "../../lib/token/mod.ts";
import {
  backoffMs,
  type Content,
  type MatrixClient,
  MessagingError,
  type RoomStates,
  sameContent,
} from "../../messaging/mod.ts";
import type { DaemonBootstrap } from "../api.ts";

export interface AnnouncementsOptions {
  readonly bootstrap: DaemonBootstrap;
  readonly client: Pick<MatrixClient, "putState">;
  readonly states: RoomStates;
  readonly openRoom: (alias: string) => Promise<string>;
  /** The rooms are known now. */
  readonly onRooms: () => void;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

interface Said {
  readonly room: string;
  readonly type: string;
  readonly key: string;
  readonly content: Content;
}

export class Announcements {
  /** Room ids; null while they can't be had. */
  systemRoom: string | null = null;
  serviceRoom: string | null = null;
  readonly #options: AnnouncementsOptions;
  #wanted: Said[] = [];
  /** What was written last, until the sync brings it back. */
  readonly #written = new Map<string, Content>();
  #isBusy = false;
  #isOpening = false;
  #triedAt = -Infinity;

  constructor(options: AnnouncementsOptions) {
    this.#options = options;
  }

  /**
   * Whether the rooms were asked for: a machine of an older namespace may be in none of them, and then gives
   * its own services and callers to each other all the same.
   */
  async rooms(): Promise<boolean> {
    if (this.systemRoom !== null && this.serviceRoom !== null) return true;
    const { bootstrap, openRoom, clock, log, onRooms } = this.#options;
    if (this.#isOpening) return false;
    if (clock.now() < this.#triedAt + 30_000) return true;
    this.#isOpening = true;
    try {
      const { namespace, fleet, server_name: server } = bootstrap;
      this.systemRoom ??= await openRoom(roomAlias(`${namespace}/system`, server));
      this.serviceRoom ??= await openRoom(roomAlias(`${fleet}/service`, server));
      onRooms();
    } catch (thrown) {
      if (this.#triedAt === -Infinity) {
        log.warn("keys and services are not announced", { why: messageOf(thrown) });
      }
      this.#triedAt = clock.now();
    } finally {
      this.#isOpening = false;
    }
    return true;
  }

  /** What an earlier life of this machine revoked. */
  ownRevocations(): readonly Revocation[] {
    const { states, bootstrap: { user_id: machine } } = this.#options;
    if (this.systemRoom === null) return [];
    const key = stateKey(machine);
    if (states.get(this.systemRoom, EventType.tokenSigningKey, key)?.sender !== machine) return [];
    const state = states.read(this.systemRoom, EventType.tokenSigningKey, key);
    return state?.ok === true ? state.value?.revoked ?? [] : [];
  }

  /** Whether the fleet knows this key as ours. */
  isPublished(publicKey: string): boolean {
    const { states, bootstrap: { user_id: machine } } = this.#options;
    if (this.systemRoom === null) return false;
    const key = stateKey(machine);
    if (states.get(this.systemRoom, EventType.tokenSigningKey, key)?.sender !== machine) {
      return false;
    }
    const state = states.read(this.systemRoom, EventType.tokenSigningKey, key);
    return state?.ok === true && state.value?.public_key === publicKey;
  }

  /** @param services by user id: all of this machine */
  want(services: ReadonlyMap<string, Service>, key: TokenSigningKey): void {
    const { bootstrap: { user_id: machine } } = this.#options;
    const wanted: Said[] = [];
    if (this.systemRoom !== null) {
      wanted.push({
        room: this.systemRoom,
        type: EventType.tokenSigningKey,
        key: stateKey(machine),
        content: key as unknown as Content,
      });
    }
    const room = this.serviceRoom;
    if (room !== null) {
      const say = (user: string, content: Service) =>
        wanted.push({
          ...{ room, type: EventType.service, key: user.slice(1) },
          content: content as unknown as Content,
        });
      for (const [user, service] of services) say(user, service);
      for (const user of this.#ownServices(room)) {
        if (!services.has(user)) say(user, { version: 1, principal: "", machine });
      }
    }
    this.#wanted = wanted;
    this.#publish();
  }

  /** User ids of services that this machine said to have. */
  #ownServices(room: string): string[] {
    const { states, bootstrap: { user_id: machine } } = this.#options;
    return [...states.all(room, EventType.service)].flatMap(([key, { sender }]) => {
      const state = states.read(room, EventType.service, key);
      const mine = sender === machine && state?.ok === true && state.value?.machine === machine;
      return mine && state.value!.principal !== "" ? [`@${key}`] : [];
    });
  }

  #publish(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#drain().finally(() => this.#isBusy = false);
  }

  async #drain(): Promise<void> {
    const { client, clock, log, signal } = this.#options;
    for (let failures = 0; !signal.aborted;) {
      const next = this.#wanted.find((one) => !this.#isSaid(one));
      if (next === undefined) return;
      const { room, type, key, content } = next;
      try {
        await client.putState(room, type, key, content, signal);
        this.#written.set(`${room} ${type} ${key}`, content);
        failures = 0;
      } catch (thrown) {
        if (signal.aborted) return;
        if (thrown instanceof MessagingError && !thrown.isPassing) {
          log.error("not announced", { type, state_key: key, why: thrown.message });
          // A 4xx stays one; as said, so that nobody asks in circles.
          this.#written.set(`${room} ${type} ${key}`, content);
          continue;
        }
        failures++;
        if (failures === 1) {
          log.warn("announcements wait for the homeserver", { why: messageOf(thrown) });
        }
        await clock.sleep(backoffMs(failures, Math.random), signal).catch(() => {});
      }
    }
  }

  #isSaid({ room, type, key, content }: Said): boolean {
    const { states, bootstrap } = this.#options;
    const entry = states.get(room, type, key);
    const is = (said: Content) =>
      entry?.sender === bootstrap.user_id && sameContent(entry.content, said);
    const written = this.#written.get(`${room} ${type} ${key}`);
    if (written === undefined) return is(content);
    // From now on the room says it: somebody who writes over it is answered.
    if (is(written)) this.#written.delete(`${room} ${type} ${key}`);
    return sameContent(written, content);
  }
}
