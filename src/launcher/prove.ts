// SPDX-License-Identifier: Apache-2.0

/** `prove`: says once, when a machine joins, that the key it publishes is its own. */
import { provePossession } from "../lib/sealed/mod.ts";
import type { KeyProof, LauncherBootstrap } from "./api.ts";
import { LauncherError } from "./errors.ts";
import { loadMachineKey } from "./machine_key.ts";

/** @throws {LauncherError} `no-challenge`, and what `loadMachineKey` throws */
export async function proveKey(bootstrap: LauncherBootstrap): Promise<KeyProof> {
  const { challenge, machine, state_dir } = bootstrap;
  if (challenge === undefined) {
    throw new LauncherError("no-challenge", "Cannot prove the machine's key: nobody asked how");
  }
  const { identity, publicKey } = await loadMachineKey(`${state_dir}/launcher`);
  using key = identity;
  return {
    public_key: publicKey,
    proof: await provePossession(key, publicKey, challenge, machine),
  };
}
