// SPDX-License-Identifier: Apache-2.0

/** What the daemon is told of other machines: where they reach it, and whose signatures it takes from them. */
import * as z from "zod/mini";
import { configPath, type PeerPlaces, readConfigFile, readPeer } from "../lib/config/mod.ts";

const Policy = z.object({ operator_keys: z.array(z.string()) });

/** @throws {ConfigError} naming what is wrong with the file */
export async function peerFields(stateDir: string, policyPath: string): Promise<{
  operator_keys: string[];
  peer?: PeerPlaces;
}> {
  const { operator_keys } = z.parse(Policy, JSON.parse(await Deno.readTextFile(policyPath)));
  const path = configPath(stateDir);
  const text = readConfigFile(path);
  const peer = text === null ? null : readPeer({ file: { path, text }, stateDir });
  return { operator_keys, ...(peer === null ? {} : { peer }) };
}
