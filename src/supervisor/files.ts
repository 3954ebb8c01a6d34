// SPDX-License-Identifier: Apache-2.0

/** The small files that the supervisor keeps for itself. */

import { messageOf } from "../lib/errors.ts";
import { SupervisorError } from "./errors.ts";

export interface RegistrationSecret {
  readonly kind: "shared" | "token";
  /** Secret. */
  readonly value: string;
}

/** @param file with the token of a homeserver that is not ours; null: ours, whose secret is made here */
export async function registrationSecret(
  file: string | null,
  operatorDir: string,
): Promise<RegistrationSecret> {
  if (file !== null) {
    try {
      return { kind: "token", value: (await Deno.readTextFile(file)).trim() };
    } catch (thrown) {
      throw new SupervisorError(
        "token-file",
        `Cannot read the registration token from "${file}": ${messageOf(thrown)}`,
        { hint: "give a readable file with --registration-token-file" },
      );
    }
  }
  const path = `${operatorDir}/homeserver-secret`;
  const present = await Deno.readTextFile(path).catch(() => null);
  if (present !== null && present.trim() !== "") return { kind: "shared", value: present.trim() };
  const value = crypto.getRandomValues(new Uint8Array(32)).toHex();
  await writePrivate(path, value);
  return { kind: "shared", value };
}

export async function readMarker(path: string): Promise<string | null> {
  try {
    const { api_key_sha256 } = JSON.parse(await Deno.readTextFile(path));
    return typeof api_key_sha256 === "string" ? api_key_sha256 : null;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound || thrown instanceof SyntaxError) return null;
    throw thrown;
  }
}

/** The server name that an earlier boot learned from the homeserver. */
export async function knownServerName(dir: string): Promise<string | null> {
  try {
    const { server_name } = JSON.parse(await Deno.readTextFile(`${dir}/session.json`));
    return typeof server_name === "string" && server_name !== "" ? server_name : null;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound || thrown instanceof SyntaxError) return null;
    throw thrown;
  }
}

export async function sha256Hex(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}

/** Whole or not at all, and never readable by others in between. */
export async function writePrivate(path: string, text: string): Promise<void> {
  const fresh = `${path}.new`;
  await Deno.remove(fresh).catch(() => {});
  await Deno.writeTextFile(fresh, text, { mode: 0o600, createNew: true });
  await Deno.rename(fresh, path);
}
