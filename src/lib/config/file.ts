// SPDX-License-Identifier: Apache-2.0

/** The file itself: there or not, of whom, and how large. */
import { messageOf } from "../errors.ts";
import { ConfigError } from "./errors.ts";

const MAX_BYTES = 64 * 1024;

export const configPath = (stateDir: string): string => `${stateDir}/operator/bureau.yaml`;

/**
 * @returns the text, or null when there is no such file
 * @throws {ConfigError} when it can't be read, or others may write it
 */
export function readConfigFile(path: string): string | null {
  const refuse = (message: string, hint: string) =>
    new ConfigError([{ where: path, setting: "", message }], hint);
  try {
    const { mode, uid, isFile, size } = Deno.statSync(path);
    if (!isFile) throw refuse("it is no file", `remove it: rm -r ${path}`);
    if ((mode! & 0o022) !== 0 || (uid !== Deno.uid() && uid !== 0)) {
      // Its writer chooses where our secrets go.
      throw refuse("somebody else may write it", `chown and chmod go-w ${path}`);
    }
    if (size > MAX_BYTES) throw refuse(`it is longer than ${MAX_BYTES} bytes`, "shorten it");
    return Deno.readTextFileSync(path);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    if (thrown instanceof ConfigError) throw thrown;
    throw refuse(`it can't be read: ${messageOf(thrown)}`, "run as the user who wrote it");
  }
}
