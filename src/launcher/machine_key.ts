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
 * @throws {LauncherError} `machine-key-lost`, `bad-machine-key`
 */
export async function loadMachineKey(dir: string): Promise<MachineKey> {
  const path = `${dir}/machine-key.txt`;
  const text = await readIfThere(path);
  let publicKey = (await readIfThere(`${dir}/machine-key.pub`))?.trim();
  if (text === null && publicKey !== undefined) throw lost(dir, "machine-key-lost", "is missing");
  // Comments are what `age-keygen` writes besides.
  let identity = text?.split("\n").map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#")).join("\n");
  if (identity === undefined) {
    const fresh = await generateMachineKey();
    identity = fresh.identity;
    publicKey = fresh.recipient;
    await writeAtomic(path, `${identity}\n`);
    await writeAtomic(`${dir}/machine-key.pub`, `${publicKey}\n`, 0o644);
  } else if (!IDENTITY.test(identity)) {
    throw lost(dir, "bad-machine-key", "is damaged");
  } else if (publicKey === undefined || publicKey === "") {
    // Killed between the two writes: the public half follows from the secret one (W-27).
    publicKey = await recipientOf(identity);
    await writeAtomic(`${dir}/machine-key.pub`, `${publicKey}\n`, 0o644);
  }
  return { publicKey, identity: Secret.fromText(identity) };
}

function lost(dir: string, code: string, what: string): LauncherError {
  return new LauncherError(code, `Cannot use the machine's key: "${dir}/machine-key.txt" ${what}`, {
    hint:
      `restore it from a backup; without one remove "${dir}/machine-key.txt" and "${dir}/machine-key.pub", and a new key is made, to which the credentials of every agent must be sealed anew (\`bureau credential reseal\`, or \`bureau agent destroy\`, then \`bureau agent create\`)`,
  });
}
