// SPDX-License-Identifier: Apache-2.0

/** The machine's age key: made once, kept 0600, never given out. */
import { generateMachineKey, recipientOf } from "../lib/sealed/mod.ts";
import { Secret } from "../lib/secret/mod.ts";
import { LauncherError } from "./errors.ts";
import { readIfThere, writeAtomic } from "./files.ts";

export interface MachineKey {
  /** `age1…` */
  readonly publicKey: string;
  /** `AGE-SECRET-KEY-1…` */
  readonly identity: Secret;
}

const IDENTITY = /^AGE-SECRET-KEY-1[0-9A-Z]{58}$/;

/**
 * Makes a key only where there was none: a new one in the place of a lost one would leave every sealed
 * credential unreadable without a word.
 *
 * @param dir `<state>/launcher`
 * @param given where systemd put the key that it unsealed for this process (`deploy/systemd/bureau-seal-key`);
 * then no key is made, and none in `dir` is used
 * @throws {LauncherError} `machine-key-lost`, `bad-machine-key`, `machine-key-differs`
 */
export async function loadMachineKey(dir: string, given?: string): Promise<MachineKey> {
  const place: Place = {
    path: given ?? `${dir}/machine-key.txt`,
    publicPath: `${dir}/machine-key.pub`,
    sealed: given !== undefined,
  };
  const text = await readIfThere(place.path);
  const publicKey = (await readIfThere(place.publicPath))?.trim() || null;
  if (text === null) {
    if (place.sealed || publicKey !== null) throw unusable(place, "machine-key-lost", "is missing");
    const fresh = await generateMachineKey();
    await writeAtomic(place.path, `${fresh.identity}\n`);
    await writeAtomic(place.publicPath, `${fresh.recipient}\n`, 0o644);
    return { publicKey: fresh.recipient, identity: Secret.fromText(fresh.identity) };
  }
  // Comments are what `age-keygen` writes besides.
  const identity = text.split("\n").map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#")).join("\n");
  if (!IDENTITY.test(identity)) throw unusable(place, "bad-machine-key", "is damaged");
  if (publicKey !== null && !place.sealed) {
    return { publicKey, identity: Secret.fromText(identity) };
  }
  const own = await recipientOf(identity);
  // A seal of another time, or of another machine: what is sealed to the published key would stay shut.
  if (publicKey !== null && publicKey !== own) {
    throw unusable(place, "machine-key-differs", `is not the one of "${place.publicPath}"`);
  }
  // Killed between the two writes: the public half follows from the secret one (W-27).
  if (publicKey === null) await writeAtomic(place.publicPath, `${own}\n`, 0o644);
  return { publicKey: own, identity: Secret.fromText(identity) };
}

interface Place {
  readonly path: string;
  readonly publicPath: string;
  readonly sealed: boolean;
}

function unusable({ path, publicPath, sealed }: Place, code: string, what: string): LauncherError {
  return new LauncherError(code, `Cannot use the machine's key: "${path}" ${what}`, {
    hint: sealed
      ? "seal the right one again from its backup: deploy/systemd/README.md, The machine's key"
      : `restore it from a backup; without one remove "${path}" and "${publicPath}", and a new key is made, to which the credentials of every agent must be sealed anew (\`bureau credential reseal\`, or \`bureau agent destroy\`, then \`bureau agent create\`)`,
  });
}
