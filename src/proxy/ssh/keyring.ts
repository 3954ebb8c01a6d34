// SPDX-License-Identifier: Apache-2.0

/**
 * What one connection to the agent may have signed. The protocol: draft-ietf-sshm-ssh-agent; the session
 * binding: PROTOCOL.agent of OpenSSH (`session-bind@openssh.com`, since 8.9); signatures over files and
 * commits: PROTOCOL.sshsig.
 */
import { concatBytes } from "../../lib/bytes.ts";
import {
  importPrivateKey,
  SshFormatError,
  type SshPrivateKey,
  SshReader,
  sshString,
  uint32,
  verifySignature,
} from "../../lib/ssh/mod.ts";
import type { BoundSshKey } from "../api.ts";

const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;
const SIGN_REQUEST = 13;
const SIGN_RESPONSE = 14;
const EXTENSION = 27;
const FAILURE = Uint8Array.of(5);
const SUCCESS = Uint8Array.of(6);

const USERAUTH_REQUEST = 50;
const SSHSIG = new TextEncoder().encode("SSHSIG");
/** A session has one host; jump hosts make a few. */
const MAX_BINDINGS = 16;

/** How one request was decided, for the log. Holds no secret. */
export interface SshDecision {
  readonly verdict: "allowed" | "refused";
  readonly key: string | null;
  /** `login git@github.com:22`, `signature git`, or what was wrong. */
  readonly what: string;
}

interface Entry {
  readonly bound: BoundSshKey;
  readonly key: SshPrivateKey;
  /** Base64 of a host's key → `host:port`. */
  readonly hosts: ReadonlyMap<string, string>;
}

/** One principal's SSH keys. */
export class SshKeyring {
  readonly #entries: readonly Entry[];
  private constructor(entries: readonly Entry[]) {
    this.#entries = entries;
  }

  /** @throws {Error} that names the key that can't be read, never quoting it */
  static async load(keys: Readonly<Record<string, BoundSshKey>>): Promise<SshKeyring> {
    const entries: Entry[] = [];
    for (const [name, bound] of Object.entries(keys)) {
      try {
        entries.push({
          bound,
          key: await importPrivateKey(bound.private_key),
          hosts: new Map(bound.hosts.map(({ host, key }) => [key, host])),
        });
      } catch (thrown) {
        if (!(thrown instanceof SshFormatError)) throw thrown;
        throw new Error(`Cannot use SSH key "${name}": ${thrown.message}`);
      }
    }
    return new SshKeyring(entries);
  }

  /** For one connection, whose sessions no other one can use. */
  session(onDecision: (decision: SshDecision) => void): SshAgentSession {
    return new SshAgentSession(this.#entries, onDecision);
  }
}

export class SshAgentSession {
  readonly #entries: readonly Entry[];
  readonly #onDecision: (decision: SshDecision) => void;
  /** Session id → base64 of the host key that signed it. */
  readonly #bound = new Map<string, string>();

  constructor(entries: readonly Entry[], onDecision: (decision: SshDecision) => void) {
    this.#entries = entries;
    this.#onDecision = onDecision;
  }

  /** @param message without its length; anything that can't be read is answered with a failure */
  async answer(message: Uint8Array): Promise<Uint8Array> {
    try {
      const reader = new SshReader(message);
      switch (reader.byte()) {
        case REQUEST_IDENTITIES:
          return this.#identities();
        case SIGN_REQUEST:
          return await this.#sign(reader);
        case EXTENSION:
          return await this.#extension(reader);
        // Keys are neither added, removed nor locked from in here.
        default:
          return FAILURE;
      }
    } catch (thrown) {
      if (thrown instanceof SshFormatError) return this.#refuse(null, thrown.message);
      throw thrown;
    }
  }

  #refuse(key: string | null, what: string): Uint8Array {
    this.#onDecision({ verdict: "refused", key, what });
    return FAILURE;
  }

  #identities(): Uint8Array {
    return concatBytes([
      Uint8Array.of(IDENTITIES_ANSWER),
      uint32(this.#entries.length),
      ...this.#entries.flatMap(({ bound, key }) => [
        sshString(key.publicBlob),
        sshString(bound.name),
      ]),
    ]);
  }

  async #extension(reader: SshReader): Promise<Uint8Array> {
    if (reader.text() !== "session-bind@openssh.com") return FAILURE;
    const host = reader.string();
    const id = reader.string();
    const proof = reader.string();
    const forwarding = reader.byte() !== 0;
    if (forwarding) return this.#refuse(null, "a forwarded agent");
    if (id.length === 0 || id.length > 64 || this.#bound.size >= MAX_BINDINGS) return FAILURE;
    if (!await verifySignature(host, proof, id)) {
      return this.#refuse(null, "a session that its host did not sign");
    }
    this.#bound.set(id.toBase64(), host.toBase64());
    return SUCCESS;
  }

  async #sign(reader: SshReader): Promise<Uint8Array> {
    const blob = reader.string();
    const data = reader.string();
    const flags = reader.uint32();
    const wanted = blob.toBase64();
    const entry = this.#entries.find(({ key }) => key.publicBlob.toBase64() === wanted);
    if (entry === undefined) return this.#refuse(null, "a key that is not here");
    const { bound: { name, expires_at: end }, key } = entry;
    if (end !== undefined && end <= Date.now()) {
      return this.#refuse(name, `it expired at ${new Date(end).toISOString()}`);
    }
    const decision = startsWith(data, SSHSIG)
      ? signatureOf(entry, data.subarray(SSHSIG.length))
      : this.#loginOf(entry, data);
    if ("refused" in decision) return this.#refuse(name, decision.refused);
    const signature = await key.sign(data, flags);
    if (signature === null) return this.#refuse(name, "a signature with SHA-1");
    this.#onDecision({ verdict: "allowed", key: name, what: decision.allowed });
    return concatBytes([Uint8Array.of(SIGN_RESPONSE), sshString(signature)]);
  }

  /** `SSH_MSG_USERAUTH_REQUEST` behind its session id (RFC 4252 §7), and nothing but that. */
  #loginOf({ bound, key, hosts }: Entry, data: Uint8Array): Decision {
    const reader = new SshReader(data);
    const session = reader.string().toBase64();
    if (reader.byte() !== USERAUTH_REQUEST) return { refused: "data that is no login" };
    const user = reader.text();
    const service = reader.text();
    const method = reader.text();
    const signed = reader.byte();
    reader.text();
    const blob = reader.string();
    const hostBound = method === "publickey-hostbound-v00@openssh.com";
    const named = hostBound ? reader.string().toBase64() : null;
    if (
      service !== "ssh-connection" || signed !== 1 || reader.remaining !== 0 ||
      (!hostBound && method !== "publickey") || blob.toBase64() !== key.publicBlob.toBase64()
    ) {
      return { refused: "data that is no login" };
    }
    const host = this.#bound.get(session);
    if (host === undefined || (named !== null && named !== host)) {
      return { refused: "a login to a host that is not known (OpenSSH ≥ 8.9 says which)" };
    }
    const name = hosts.get(host);
    if (name === undefined) return { refused: "a login to a host that it is not for" };
    if (bound.users !== undefined && !bound.users.includes(user)) {
      return { refused: `a login as "${user.slice(0, 60)}" at ${name}` };
    }
    return { allowed: `login ${user.slice(0, 60)}@${name}` };
  }
}

type Decision = { readonly allowed: string } | { readonly refused: string };

/** A signature of a file or a commit: only its namespace and its hash are in it. */
function signatureOf({ bound }: Entry, data: Uint8Array): Decision {
  const reader = new SshReader(data);
  const namespace = reader.text();
  const reserved = reader.string();
  const hash = reader.text();
  const digest = reader.string();
  const length = hash === "sha512" ? 64 : hash === "sha256" ? 32 : -1;
  if (reserved.length !== 0 || digest.length !== length || reader.remaining !== 0) {
    return { refused: "data that is no signature of a file" };
  }
  return bound.signs.includes(namespace)
    ? { allowed: `signature ${namespace}` }
    : { refused: `a signature for "${namespace.slice(0, 60)}"` };
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return bytes.length >= prefix.length && prefix.every((byte, at) => bytes[at] === byte);
}
