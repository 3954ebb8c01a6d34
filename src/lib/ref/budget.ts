// SPDX-License-Identifier: Apache-2.0
import { quoteName, RefError } from "./errors.ts";

/** Longest path of a Unix socket in bytes: `sun_path` is 108 with its closing zero. */
export const MAX_SOCKET_PATH = 107;

/** The longest socket below a run directory; see "Directories" in docs/design/contracts.md. */
const LONGEST_SOCKET = "/p/0123456789abcdef/observe/relay.sock";

/**
 * Refuses a run directory whose sockets would not fit: Linux would refuse to bind them with an error
 * that doesn't say so.
 * @returns how many bytes are left
 * @throws {RefError} `run-dir-too-long`
 */
export function socketBudget(runDir: string): number {
  const bytes = new TextEncoder().encode(runDir + LONGEST_SOCKET).length;
  if (bytes > MAX_SOCKET_PATH) {
    const over = bytes - MAX_SOCKET_PATH;
    throw new RefError(
      "run-dir-too-long",
      `Cannot use the run directory ${
        quoteName(runDir)
      }: its sockets would pass ${MAX_SOCKET_PATH} bytes`,
      { hint: `choose one that is at least ${over} bytes shorter, with --run-dir` },
    );
  }
  return MAX_SOCKET_PATH - bytes;
}
