// SPDX-License-Identifier: Apache-2.0

/** The machine's age key: made once, kept 0600, never given out. */
import { generateMachineKey, recipientOf } from "../lib/sealed/mod.ts";
import { readIfThere, writeAtomic } from "./files.ts";

export interface MachineKey {
  /** `age1…` */
  readonly publicKey: string;
  /** `AGE-SECRET-KEY-1…`; secret. */
  readonly identity: string;
}

/** @param dir `<state>/launcher` */
export async function loadMachineKey(dir: string): Promise<MachineKey> {
  const path = `${dir}/machine-key.txt`;
  let identity = (await readIfThere(path))?.trim();
  let publicKey = (await readIfThere(`${dir}/machine-key.pub`))?.trim();
  if (identity === undefined || identity === "") {
    const fresh = await generateMachineKey();
    identity = fresh.identity;
    publicKey = fresh.recipient;
    await writeAtomic(path, `${identity}\n`);
    await writeAtomic(`${dir}/machine-key.pub`, `${publicKey}\n`, 0o644);
  } else if (publicKey === undefined || publicKey === "") {
    // Killed between the two writes: the public half follows from the secret one (W-27).
    publicKey = await recipientOf(identity);
    await writeAtomic(`${dir}/machine-key.pub`, `${publicKey}\n`, 0o644);
  }
  return { publicKey, identity };
}
