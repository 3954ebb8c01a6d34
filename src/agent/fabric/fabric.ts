// SPDX-License-Identifier: Apache-2.0

/**
 * Which workers there are: a directory with one file for each, written by the worker itself. Whoever reads it may
 * find anything there, so what can't be read is not there.
 */
import * as z from "zod/mini";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { BureauError } from "../../lib/errors.ts";
import { pathComponent } from "../provision/ids.ts";
import { DiscoveryRecord, isLive, LEASE_MS, RENEWAL_MS } from "./record.ts";

/** Far more than a record has. */
const MAX_RECORD_BYTES = 64 * 1024;
/** A Unix socket's address holds no more. */
const MAX_SOCKET_BYTES = 107;

export class FabricError extends BureauError {
  override readonly name = "FabricError";
}

export class Fabric {
  readonly #dir: string;
  readonly #clock: Clock;

  /** @param dir absolute; made at the first publishing, with mode 0700 */
  constructor(dir: string, clock: Clock = systemClock) {
    this.#dir = dir.replace(/(?<=.)\/+$/, "");
    this.#clock = clock;
  }

  /** Where the worker of this id listens. @throws {FabricError} `path-too-long` */
  async socketPath(id: string): Promise<string> {
    const path = `${this.#dir}/${await pathComponent(id)}.sock`;
    if (new TextEncoder().encode(path).length <= MAX_SOCKET_BYTES) return path;
    throw new FabricError(
      "path-too-long",
      `Cannot listen on "${path}": a socket's path is too long`,
      {
        hint: `choose a fabric_dir of which a path has ${MAX_SOCKET_BYTES} bytes at most`,
        status: 400,
      },
    );
  }

  /** @throws {FabricError} `shared-directory` where others could write beside it */
  async open(): Promise<void> {
    await Deno.mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const info = await Deno.lstat(this.#dir);
    if (info.isDirectory && info.uid === Deno.uid() && (info.mode! & 0o077) === 0) return;
    throw new FabricError(
      "shared-directory",
      `Cannot use "${this.#dir}": it must be a directory of this user's with mode 0700`,
      { hint: "give a fabric_dir of its own", status: 400 },
    );
  }

  /** Whole or not at all, whoever reads meanwhile. */
  async publish(record: DiscoveryRecord): Promise<void> {
    const name = await pathComponent(record.agent_id);
    const temporary = `${this.#dir}/.${name}.tmp.${crypto.randomUUID()}`;
    try {
      using file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
      const bytes = new TextEncoder().encode(JSON.stringify(record, null, 2));
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      await file.sync();
      await Deno.rename(temporary, `${this.#dir}/${name}.json`);
    } catch (thrown) {
      await Deno.remove(temporary).catch(() => {});
      throw thrown;
    }
  }

  /** Idempotent. */
  async withdraw(id: string): Promise<void> {
    await removeIfThere(`${this.#dir}/${await pathComponent(id)}.json`);
  }

  /** The live record of this id, or null. */
  async resolve(id: string): Promise<DiscoveryRecord | null> {
    const record = await this.#read(`${await pathComponent(id)}.json`);
    return record !== null && record.agent_id === id && isLive(record, this.#clock.now())
      ? record
      : null;
  }

  /** Live records, by id. */
  async discover(role?: string): Promise<DiscoveryRecord[]> {
    const found: DiscoveryRecord[] = [];
    for (const name of await this.#names()) {
      const record = await this.#read(name);
      if (record === null || !isLive(record, this.#clock.now())) continue;
      if (role !== undefined && record.role !== role) continue;
      found.push(record);
    }
    return found.sort((a, b) => a.agent_id < b.agent_id ? -1 : 1);
  }

  /** Removes what is expired or can't be read, with the socket beside it. @returns how many */
  async gc(): Promise<number> {
    let removed = 0;
    for (const name of await this.#names()) {
      const record = await this.#read(name);
      if (record !== null && isLive(record, this.#clock.now())) continue;
      await removeIfThere(`${this.#dir}/${name}`);
      await removeIfThere(`${this.#dir}/${name.replace(/json$/, "sock")}`);
      removed++;
    }
    return removed;
  }

  async #names(): Promise<string[]> {
    const names: string[] = [];
    try {
      for await (const { name, isFile } of Deno.readDir(this.#dir)) {
        if (isFile && !name.startsWith(".") && name.endsWith(".json")) names.push(name);
      }
    } catch (thrown) {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    }
    return names.sort();
  }

  async #read(name: string): Promise<DiscoveryRecord | null> {
    try {
      using file = await Deno.open(`${this.#dir}/${name}`);
      const info = await file.stat();
      if (!info.isFile || info.size > MAX_RECORD_BYTES) return null;
      const text = await new Response(file.readable).text();
      return z.parse(DiscoveryRecord, JSON.parse(text));
    } catch {
      return null;
    }
  }
}

/** A worker's own record, for as long as the worker lives. */
export class Lease {
  readonly #fabric: Fabric;
  readonly #record: Omit<DiscoveryRecord, "lease_expires_at">;
  readonly #clock: Clock;
  readonly #stop = new AbortController();
  #renewing: Promise<void> = Promise.resolve();

  constructor(
    fabric: Fabric,
    record: Omit<DiscoveryRecord, "lease_expires_at">,
    clock: Clock = systemClock,
  ) {
    this.#fabric = fabric;
    this.#record = record;
    this.#clock = clock;
  }

  /** @param onLost it could not be renewed, and will not be again */
  async begin(onLost: (thrown: unknown) => void): Promise<void> {
    await this.#publish();
    this.#renewing = this.#renew(onLost);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#renewing;
    await this.#fabric.withdraw(this.#record.agent_id);
  }

  async #renew(onLost: (thrown: unknown) => void): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      try {
        await this.#clock.sleep(RENEWAL_MS, signal);
        await this.#publish();
      } catch (thrown) {
        if (!signal.aborted) onLost(thrown);
        return;
      }
    }
  }

  #publish(): Promise<void> {
    const lease_expires_at = new Date(this.#clock.now() + LEASE_MS).toISOString();
    return this.#fabric.publish({ ...this.#record, lease_expires_at });
  }
}

async function removeIfThere(path: string): Promise<void> {
  await Deno.remove(path).catch((thrown) => {
    if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
  });
}
