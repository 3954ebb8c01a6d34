// SPDX-License-Identifier: Apache-2.0

/** What a doctor is made of: checks that stand on each other, what they find, and what mends it. */

/** In the order in which they are told. */
export const GROUPS = [
  "machine",
  "installation",
  "processes",
  "homeserver",
  "rooms",
  "agents",
] as const;
export type Group = typeof GROUPS[number];

/** `skip`: it could not be looked at, and `detail` says why. */
export type Status = "pass" | "warn" | "fail" | "skip";

/** Done by tasks/doctor.sh, which alone may change files; it looks again right before. */
export interface ShellRepair {
  readonly by: "shell";
  readonly id:
    | "userns-clone"
    | "max-userns"
    | "apparmor-profile"
    | "mode"
    | "owner"
    | "stale-socket"
    | "cgroups";
  readonly args: readonly string[];
  /** The same as a command, for a person. */
  readonly what: string;
  readonly root: boolean;
  /** It changes the machine, not only Bureau: done only when that was said. */
  readonly machine: boolean;
}

/** Done with the operator's session. */
export interface RoomRepair {
  readonly by: "operator";
  readonly what: string;
  readonly apply: () => Promise<void>;
}

export type Repair = ShellRepair | RoomRepair;

export interface Finding {
  /** Stable: `homeserver.versions`. */
  readonly name: string;
  readonly status: Status;
  readonly detail: string;
  /** Why it matters. */
  readonly reason?: string;
  /** A command or a sentence that mends it, where a person must. */
  readonly hint?: string;
  /** Absent where nothing is wrong, or where mending takes a decision. */
  readonly repair?: Repair;
}

export interface Check {
  readonly group: Group;
  /** Of what it finds, the name or its beginning. */
  readonly name: string;
  /** Names of checks; when one of them fails or is skipped, this one is skipped. */
  readonly needs?: readonly string[];
  /** Anchor of docs/guide/troubleshooting.md. */
  readonly guide: string;
  run(signal: AbortSignal): Promise<readonly Finding[]> | readonly Finding[];
}

export const pass = (name: string, detail: string): Finding => ({ name, status: "pass", detail });
export const skipped = (name: string, detail: string): Finding => ({
  name,
  status: "skip",
  detail,
});

/** A quoted word of a shell command. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
