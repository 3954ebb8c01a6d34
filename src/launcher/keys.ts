// SPDX-License-Identifier: Apache-2.0

/** The machine's age key: made once, never shown. */
import { generateMachineKey, machineRecipient } from "../lib/sealed/mod.ts";
import { readIfThere, writeWhole } from "./files.ts";

export interface MachineKey {
  /** Secret. Not kept in memory longer than an unsealing takes would be of no use: the file is there. */
  readonly identity: string;
  readonly recipient: string;
}
