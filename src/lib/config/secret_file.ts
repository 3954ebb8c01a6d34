// SPDX-License-Identifier: Apache-2.0
import { messageOf } from "../errors.ts";
import { ConfigError } from "./errors.ts";

const MAX_BYTES = 4_096;

/**
 * The secret in a file that a setting names, without blanks around it.
 * @throws {ConfigError} when it is not there, others may read it, or it holds nothing
 */
export function readSecretFile(path: string, setting: string): string {
  const refuse = (message: string, hint: string) =>
    new ConfigError([{ where: path, setting, message }], hint);
  let text: string;
  try {
    const { mode, uid, isFile, size } = Deno.statSync(path);
    if (!isFile) throw refuse("it is no file", `remove it: rm -r ${path}`);
    if ((mode! & 0o077) !== 0 || (uid !== Deno.uid() && uid !== 0)) {
      throw refuse("somebody else may read or write it", `chown and chmod 600 ${path}`);
    }
    if (size > MAX_BYTES) throw refuse(`it is longer than ${MAX_BYTES} bytes`, "shorten it");
    text = Deno.readTextFileSync(path).trim();
  } catch (thrown) {
    if (thrown instanceof ConfigError) throw thrown;
    throw refuse(`it can't be read: ${messageOf(thrown)}`, `write the secret into ${path}`);
  }
  if (text === "") throw refuse("it is empty", `write the secret into ${path}`);
  return text;
}
