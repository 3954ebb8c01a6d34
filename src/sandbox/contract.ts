// SPDX-License-Identifier: Apache-2.0

/** `/run/bureau` of a sandbox, as bwrap makes it. */
/** Fixed in-cell places (docs/design/contracts.md). */
export const CELL_DIR = "/cell";

/** In the contract directory of an agent that an event started. */
export const TRIGGER_FILE = "trigger.json";

/** In the contract directory: a file for each secret, with a placeholder in it. */
export const SECRETS_DIR = "secrets";

/** What every agent finds in /run/bureau. @param files in its contract directory */
export const contractArguments = (files: readonly string[]): readonly string[] => [
  "--dir",
  "/run/bureau",
  "--ro-bind",
  "/run/bureau/agent",
  "/run/bureau/agent",
  "--ro-bind",
  `${CELL_DIR}/contract`,
  "/run/bureau/contract",
  "--symlink",
  "agent/proxy.sock",
  "/run/bureau/proxy.sock",
  "--symlink",
  "contract/payload.json",
  "/run/bureau/payload.json",
  ...(files.includes(TRIGGER_FILE)
    ? ["--symlink", `contract/${TRIGGER_FILE}`, `/run/bureau/${TRIGGER_FILE}`]
    : []),
  ...(files.some((name) => name.startsWith(`${SECRETS_DIR}/`))
    ? ["--symlink", `contract/${SECRETS_DIR}`, `/run/bureau/${SECRETS_DIR}`]
    : []),
];
