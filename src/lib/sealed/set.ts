// SPDX-License-Identifier: Apache-2.0

import * as z from "zod/mini";
import { CredentialPart } from "../schema/events.ts";
import { SealedError } from "./sealed.ts";

export interface SealedSet {
  readonly ciphertext: string;
  readonly parts: Readonly<Record<string, CredentialPart>>;
}

const Joined = z.object({
  ciphertext: z.string(),
  parts: z.record(z.string(), CredentialPart),
});

/** @throws {SealedError} `bad-bundle` */
export function parseSealedText(text: string): SealedSet {
  if (!text.startsWith("{")) return { ciphertext: text, parts: {} };
  try {
    return z.parse(Joined, JSON.parse(text));
  } catch {
    throw new SealedError("bad-bundle", `Cannot read "bundle": its parts are malformed`);
  }
}
