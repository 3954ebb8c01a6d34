// SPDX-License-Identifier: Apache-2.0

/** The event that holds a principal's sealed credentials: read, sealed and written by every command alike. */
import * as z from "zod/mini";
import { stateKey, userId } from "../../lib/ref/mod.ts";
import {
  type CredentialBundle,
  type CredentialPart,
  Credentials,
  EventType,
} from "../../lib/schema/mod.ts";
import { sealBundle } from "../../lib/sealed/mod.ts";
import { signContent, type SigningKey } from "../../lib/signature/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import type { SealedInput } from "../agent/credentials.ts";
import type { CommandContext } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { sealingKey } from "../machine/target.ts";
import type { OperatorSession } from "../session.ts";
import { escrowRecipient } from "./escrow.ts";
import { kindOf } from "./kind.ts";

/** What fits an event of 64 KiB beside its envelope. */
const MAX_CONTENT = 60 * 1024;

/** Who will be able to open what is sealed. */
export interface Recipients {
  /** `age1…`; the machine's first. */
  readonly keys: readonly string[];
  /** For `encrypted_for`. */
  readonly names: readonly string[];
}

export class CredentialStore {
  readonly #client: MatrixClient;
  readonly #session: OperatorSession;
  readonly #key: SigningKey;

  constructor(client: MatrixClient, session: OperatorSession, key: SigningKey) {
    this.#client = client;
    this.#session = session;
    this.#key = key;
  }

  /** @throws {CliError} `no-machine-key` */
  async recipients(context: CommandContext): Promise<Recipients> {
    const { server_name, machine } = this.#session;
    const escrow = await escrowRecipient(context);
    return {
      keys: [
        await sealingKey(context, this.#client, this.#session),
        ...(escrow === null ? [] : [escrow]),
      ],
      names: [userId(machine, server_name), ...(escrow === null ? [] : ["escrow:operator"])],
    };
  }

  async #room(localpart: string): Promise<string> {
    const alias = `#${localpart}:${this.#session.server_name}`;
    const id = await this.#client.resolveAlias(alias);
    if (id !== null) return id;
    throw new CliError("no-such-room", `Cannot find the room "${alias}"`, {
      status: 404,
      hint: "run `deno task up`, which makes the rooms",
    });
  }

  /** Every principal's of this machine. */
  async all(): Promise<Credentials[]> {
    const state = await this.#client.roomState(await this.#room(this.#session.machine));
    return state.filter(({ type }) => type === EventType.credentials)
      .map(({ content }) => z.safeParse(Credentials, content))
      .flatMap((parsed) => parsed.success ? [parsed.data] : []);
  }

  /** @throws {CliError} `no-such-agent` */
  async read(localpart: string): Promise<Credentials> {
    const { server_name } = this.#session;
    const content = await this.#client.getState(
      await this.#room(this.#session.machine),
      EventType.credentials,
      stateKey(localpart, server_name),
    );
    const parsed = z.safeParse(Credentials, content ?? {});
    if (parsed.success) return parsed.data;
    throw new CliError(
      "no-such-agent",
      `Cannot find the credentials of "${localpart}": it has none on this machine`,
      { status: 404, hint: "`bureau agent create` makes an agent; `bureau agent list` shows them" },
    );
  }

  /** One credential, sealed and signed. @param previous what it stands for: never older than that */
  async part(
    localpart: string,
    name: string,
    credential: SealedInput[string],
    recipients: Recipients,
    more: {
      readonly expiresAt?: number | undefined;
      readonly previous?: CredentialPart | undefined;
    },
  ): Promise<CredentialPart> {
    return await this.sign({
      version: 1,
      principal: userId(localpart, this.#session.server_name),
      name,
      kind: kindOf(credential),
      allowed_hosts: [...credential.allowed_hosts],
      encrypted_for: [...recipients.names],
      recipients: [...recipients.keys],
      ciphertext: await this.seal(localpart, { [name]: credential }, recipients),
      ...(more.expiresAt === undefined ? {} : { expires_at: more.expiresAt }),
    }, more.previous);
  }

  /** @param previous the one that it stands for */
  async sign(
    part: Omit<CredentialPart, "signature" | "issued_by" | "issued_at">,
    previous: CredentialPart | undefined,
  ): Promise<CredentialPart> {
    return await signContent({
      ...part,
      issued_by: this.#session.user_id,
      issued_at: Math.max(Date.now(), (previous?.issued_at ?? 0) + 1),
    }, this.#key);
  }

  /** @returns base64 of the age file */
  async seal(
    localpart: string,
    credentials: CredentialBundle["credentials"],
    recipients: Recipients,
    matrix?: CredentialBundle["matrix"],
  ): Promise<string> {
    return await sealBundle({
      version: 1,
      principal: userId(localpart, this.#session.server_name),
      ...(matrix === undefined ? {} : { matrix }),
      credentials,
    }, recipients.keys);
  }

  /** Who wrote it, and when, is set here. @throws {CliError} `too-large` */
  async write(
    localpart: string,
    content: Omit<Credentials, "version" | "principal" | "provisioned_by" | "provisioned_at">,
  ): Promise<Credentials> {
    const { server_name, machine, user_id } = this.#session;
    const whole: Credentials = {
      version: 1,
      principal: userId(localpart, server_name),
      ...content,
      provisioned_by: user_id,
      provisioned_at: new Date().toISOString(),
    };
    const size = JSON.stringify(whole).length;
    if (size > MAX_CONTENT) {
      throw new CliError(
        "too-large",
        `Cannot store the credentials of "${localpart}": ${size} bytes do not fit a Matrix event`,
        { hint: `give it fewer or shorter ones; the limit is ${MAX_CONTENT} bytes` },
      );
    }
    const room = await this.#room(machine);
    await this.#client.putState(room, EventType.credentials, stateKey(localpart, server_name), {
      ...whole,
    });
    return whole;
  }

  /** Puts parts among those that are there. */
  async add(
    localpart: string,
    present: Credentials,
    parts: Readonly<Record<string, CredentialPart>>,
  ): Promise<Credentials> {
    const { keys, encrypted_for, recipients, ciphertext } = present;
    return await this.write(localpart, {
      encrypted_for,
      ...(recipients === undefined ? {} : { recipients }),
      keys: [...new Set([...keys, ...Object.keys(parts)])].sort(),
      ciphertext,
      parts: { ...present.parts, ...parts },
    });
  }
}
