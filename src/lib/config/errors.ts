// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../errors.ts";

export interface Problem {
  /** `<file>:<line>:<column>`, or the name of an environment variable. */
  readonly where: string;
  /** Empty: it is about the whole. */
  readonly setting: string;
  readonly message: string;
}

/** Every problem at once: nobody mends a file one line a start. */
export class ConfigError extends BureauError {
  override readonly name = "ConfigError";
  constructor(readonly problems: readonly Problem[], hint?: string) {
    super("bad-config", `Cannot use the configuration: ${problems.map(line).join("\n  ")}`, {
      status: 422,
      hint: hint ??
        "docs/reference/config.md has every setting; `bureau config check` tries a file",
    });
  }
}

function line({ where, setting, message }: Problem): string {
  return `${where}: ${setting === "" ? "" : `${setting}: `}${message}`;
}
