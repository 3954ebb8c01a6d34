// SPDX-License-Identifier: Apache-2.0

/** What operators are told about services: a role that nobody fills, a directory that changed. */
import { parseUserId } from "../../lib/ref/mod.ts";
import { noticePart } from "../../lib/schema/mod.ts";
import { accountOf } from "../account.ts";

/** Says a notice to operators; the second is for programs. */
export type Say = (body: string, content: Readonly<Record<string, unknown>>) => void;

/** Named in one notice. */
const MAX_SHOWN = 10;

export class ServiceNotices {
  readonly #say: Say;
  readonly #unbound = new Set<string>();
  #directory: ReadonlyMap<string, string> | null = null;

  constructor(say: Say) {
    this.#say = say;
  }

  /** @param principal full localpart of a caller; told once, until the role is bound and unbound again */
  role(principal: string, role: string, isBound: boolean): void {
    const question = `${principal} ${role}`;
    if (isBound) return void this.#unbound.delete(question);
    if (this.#unbound.has(question)) return;
    this.#unbound.add(question);
    this.#say(
      `${
        accountOf(principal)
      } needs the role ${role}, and no service fills it. To bind one: bureau service bind ${role} NAME`,
      noticePart("service_unbound", { principal, role }),
    );
  }

  /** @param directory user id of each service of the fleet → what is said of it; the first is nobody's news */
  directory(directory: ReadonlyMap<string, string>): void {
    const before = this.#directory;
    this.#directory = directory;
    if (before === null) return;
    const added = [...directory.keys()].filter((user) => !before.has(user));
    const removed = [...before.keys()].filter((user) => !directory.has(user));
    const updated = [...directory].filter(([user, said]) =>
      before.has(user) && before.get(user) !== said
    ).map(([user]) => user);
    const parts = [["new", added], ["gone", removed], ["changed", updated]] as const;
    const told = parts.filter(([, users]) => users.length > 0)
      .map(([word, users]) => `${word}: ${named(users)}`);
    if (told.length === 0) return;
    const key = (users: readonly string[]) => users.map((user) => user.slice(1));
    this.#say(
      `services of the fleet: ${told.join("; ")}`,
      noticePart("service_directory_updated", {
        added: key(added),
        removed: key(removed),
        updated: key(updated),
      }),
    );
  }
}

function named(users: readonly string[]): string {
  const shown = users.slice(0, MAX_SHOWN).map((user) => accountOf(parseUserId(user).localpart));
  const rest = users.length - shown.length;
  return shown.join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}
