// SPDX-License-Identifier: Apache-2.0

/** One life of one principal's sandbox, with the services that it calls: sockets, tokens, what was revoked. */
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { ProxyPolicy } from "../../lib/schema/mod.ts";
import { rulesForRole, signToken, TOKEN_LIFE_MS, type TokenKey } from "../../lib/token/mod.ts";
import { writeWhole } from "./files.ts";
import { RoleSocket } from "./role_socket.ts";

/** A reader of the file always has at least a minute. */
export const REFRESH_MS = TOKEN_LIFE_MS - 60_000;

export interface SeatOptions {
  /** Its `service` directory on the host. */
  readonly dir: string;
  /** Full localpart. */
  readonly principal: string;
  /** User id. */
  readonly user: string;
  /** User id. */
  readonly machine: string;
  readonly offer: (service: string) => Promise<string>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Role {
  readonly socket: RoleSocket;
  /** What the present token says; null: there is none. */
  said: string | null;
  mintedAt: number;
}

export class Seat {
  readonly user: string;
  readonly #options: SeatOptions;
  readonly #roles = new Map<string, Role>();
  #trust = "";
  #isOpen = false;
  #inherited = false;
  /** Of every token that it ever had, the last. */
  #lastToken = -Infinity;

  constructor(options: SeatOptions) {
    this.#options = options;
    this.user = options.user;
  }

  /** Whether a token of it could be shown somewhere. */
  holdsTokens(now: number): boolean {
    return now < this.#lastToken + TOKEN_LIFE_MS;
  }

  /** @throws when its directory is not there yet */
  async #open(): Promise<void> {
    if (this.#isOpen) return;
    const { dir } = this.#options;
    const tokens = `${dir}/token`;
    await Deno.stat(dir);
    await Deno.mkdir(tokens).catch((thrown) => {
      if (!(thrown instanceof Deno.errors.AlreadyExists)) throw thrown;
      // An earlier life of this daemon gave it some, and nobody knows any more what they say.
      this.#inherited = true;
    });
    // The launcher, of our group, removes it in the end.
    await Deno.chmod(tokens, 0o770);
    this.#isOpen = true;
  }

  /** What a service checks tokens by. */
  async trust(text: string): Promise<void> {
    if (text === this.#trust) return;
    await this.#open();
    await writeWhole(`${this.#options.dir}/trust.json`, text, 0o640);
    this.#trust = text;
  }

  /**
   * Brings sockets and tokens up to date.
   * @param roles role → user id of whom it is bound to, or null
   * @param revoke called before any new token is made, where an earlier one says more, or otherwise
   */
  async update(
    roles: ReadonlyMap<string, string | null>,
    { key, policy }: { readonly key: TokenKey; readonly policy: ProxyPolicy },
    revoke: () => void,
  ): Promise<void> {
    await this.#open();
    const says = new Map(
      [...roles].map(([name, service]) => [
        name,
        service === null ? null : JSON.stringify([service, rulesForRole(policy, name)]),
      ]),
    );
    const stale = [...this.#roles].some(([name, { said }]) =>
      said !== null && said !== (says.get(name) ?? null)
    );
    if (stale || this.#inherited) {
      // Of all its roles: whoever revokes a principal's tokens means every one.
      revoke();
      for (const role of this.#roles.values()) role.mintedAt = -Infinity;
      this.#inherited = false;
    }
    for (const [name, role] of this.#roles) {
      if (roles.has(name)) continue;
      role.socket.close();
      this.#roles.delete(name);
      await this.#remove(`${name}.sock`);
      await this.#remove(`token/${name}.token`);
    }
    for (const [name, service] of roles) {
      const role = this.#roles.get(name) ?? await this.#make(name);
      await this.#token(name, role, service, says.get(name) ?? null, key, policy);
      // After the token that this service accepts.
      role.socket.bind(service);
    }
  }

  async #make(name: string): Promise<Role> {
    const { dir, principal, offer, clock, log } = this.#options;
    const path = `${dir}/${name}.sock`;
    const socket = new RoleSocket({ path, caller: principal, role: name, offer, clock, log });
    await socket.listen();
    const role = { socket, said: null, mintedAt: -Infinity };
    this.#roles.set(name, role);
    return role;
  }

  async #token(
    name: string,
    role: Role,
    service: string | null,
    says: string | null,
    key: TokenKey,
    policy: ProxyPolicy,
  ): Promise<void> {
    const { user, machine, clock, dir } = this.#options;
    if (service === null) {
      role.said = null;
      return await this.#remove(`token/${name}.token`);
    }
    const now = clock.now();
    if (role.said === says && now < role.mintedAt + REFRESH_MS) return;
    // Later than the millisecond up to which others were revoked.
    const issued = now + 1;
    const token = await signToken(key, {
      ...{ machine, subject: user, service, role: name, policy },
      now: issued,
    });
    await writeWhole(`${dir}/token/${name}.token`, token, 0o640);
    role.said = says;
    role.mintedAt = now;
    this.#lastToken = issued;
  }

  /** When a token wants to be made anew. */
  get refreshAt(): number {
    const ages = [...this.#roles.values()].filter(({ said }) => said !== null);
    return Math.min(Infinity, ...ages.map(({ mintedAt }) => mintedAt + REFRESH_MS));
  }

  async #remove(name: string): Promise<void> {
    await Deno.remove(`${this.#options.dir}/${name}`).catch((thrown) => {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    });
  }

  /** The sandbox is gone, and its directory with it. */
  close(): void {
    for (const { socket } of this.#roles.values()) socket.close();
    this.#roles.clear();
  }
}
