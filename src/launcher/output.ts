// SPDX-License-Identifier: Apache-2.0

/**
 * What stood on a principal's terminal: as it is now, and as it was when its program last ended, which is
 * kept over restarts of the program and of the launcher.
 */
import * as z from "zod/mini";
import type { CredentialBundle } from "../lib/schema/events.ts";
import { ExitStatus, type PrincipalOutput } from "./api.ts";
import { LauncherError } from "./errors.ts";
import { readIfThere, removeIfThere, writeAtomic } from "./files.ts";

export const OUTPUT_LINES = 500;
/** Of one line, and of all that is kept. */
const MAX_LINE = 4_096;
const MAX_CHARS = 262_144;
/** A shorter value would take words out of ordinary text. */
const SHORTEST_SECRET = 6;
/** Of many rotations the last are looked for. */
const MAX_SECRETS = 1_024;
const HIDDEN = "********";

const Ended = z.object({ version: z.literal(1), principal: z.string(), exit: ExitStatus });

/** What must not be seen in a principal's output: every value that was sealed for it. Secret. */
export function secretsOf(bundle: CredentialBundle | null): string[] {
  if (bundle === null) return [];
  const values = Object.values(bundle.credentials).flatMap(({ value, oauth2 }) => [
    // A key of several lines is seen line by line.
    ...value.split(/\r?\n/),
    oauth2?.access_token ?? "",
    oauth2?.refresh_token ?? "",
    oauth2?.client_secret ?? "",
  ]);
  return [...values, bundle.matrix?.access_token ?? ""]
    .map((value) => value.trim())
    .filter((value) => value.length >= SHORTEST_SECRET)
    // What holds another goes first.
    .sort((a, b) => b.length - a.length);
}

/** Also those of before, which may still stand on the terminal. */
export function withSecretsOf(
  bundle: CredentialBundle | null,
  before: readonly string[],
): string[] {
  return withValues(secretsOf(bundle), before);
}

export function withValues(values: readonly string[], before: readonly string[]): string[] {
  const worthy = values.filter((value) => value.length >= SHORTEST_SECRET);
  return [...new Set([...worthy, ...before])].slice(0, MAX_SECRETS)
    .sort((a, b) => b.length - a.length);
}

/**
 * The last of them that are worth keeping. An agent never sees what is sealed for it; this is for an upstream that
 * said it after all.
 */
export function presentable(lines: readonly string[], secrets: readonly string[]): string[] {
  const kept: string[] = [];
  let room = MAX_CHARS;
  for (const line of lines.slice(-OUTPUT_LINES).toReversed()) {
    const shown = secrets
      .reduce((text, secret) => text.replaceAll(secret, HIDDEN), line)
      .slice(0, MAX_LINE);
    room -= shown.length + 1;
    if (room < 0) break;
    kept.push(shown);
  }
  return kept.reverse();
}

/** How each principal's program last ended. */
export class LastWords {
  readonly #dir: string;

  /** @param stateDir `<state>/launcher` */
  constructor(stateDir: string) {
    this.#dir = `${stateDir}/ended`;
  }

  async keep(hash: string, principal: string, exit: ExitStatus): Promise<void> {
    await Deno.mkdir(this.#dir, { recursive: true, mode: 0o700 });
    const kept = { version: 1, principal, exit };
    await writeAtomic(`${this.#dir}/${hash}.json`, JSON.stringify(kept));
  }

  forget(hash: string): Promise<void> {
    return removeIfThere(`${this.#dir}/${hash}.json`);
  }

  /** @returns null where it never ended, or its file is damaged: nothing depends on it */
  async of(hash: string): Promise<ExitStatus | null> {
    const text = await readIfThere(`${this.#dir}/${hash}.json`);
    if (text === null) return null;
    try {
      return z.parse(Ended, JSON.parse(text)).exit;
    } catch {
      return null;
    }
  }

  /** @param now null where it does not run */
  async answer(hash: string, now: readonly string[] | null, wanted: number) {
    const exit = await this.of(hash);
    const lines = (all: readonly string[]) => all.slice(-wanted);
    const last = exit === null ? null : { ...exit, output: lines(exit.output) };
    return { now: now === null ? null : lines(now), last } satisfies PrincipalOutput;
  }
}

/** @throws {LauncherError} `bad-request` */
export function linesWanted(query: URLSearchParams): number {
  const wanted = Number(query.get("lines") ?? OUTPUT_LINES);
  if (Number.isInteger(wanted) && wanted >= 1 && wanted <= OUTPUT_LINES) return wanted;
  throw new LauncherError("bad-request", `Cannot show output: lines must be 1 to ${OUTPUT_LINES}`, {
    status: 400,
  });
}
