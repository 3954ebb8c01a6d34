// SPDX-License-Identifier: Apache-2.0

/** Runs checks: each as soon as what it stands on is well, none longer than its deadline, told in their order. */
import { BureauError, messageOf } from "../../lib/errors.ts";
import { type Check, type Finding, type Group, GROUPS, skipped } from "./check.ts";

export interface Told extends Finding {
  readonly group: Group;
  /** Anchor of docs/guide/troubleshooting.md. */
  readonly guide: string;
}

export interface RunOptions {
  /** For each check. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  /** Told of each group, in order, as soon as all of its checks and of those before it have ended. */
  readonly onGroup?: (group: Group, found: readonly Told[]) => void;
}

/** @returns what all checks found, by group and then as the checks stand */
export async function runChecks(
  checks: readonly Check[],
  options: RunOptions,
): Promise<readonly Told[]> {
  const running = new Map<string, Promise<readonly Finding[]>>();
  const start = (check: Check): Promise<readonly Finding[]> => {
    const known = running.get(check.name);
    if (known !== undefined) return known;
    const found = (async () => {
      for (const need of check.needs ?? []) {
        const on = checks.find(({ name }) => name === need);
        if (on === undefined) throw new Error(`${check.name} needs ${need}, which is no check`);
        const bad = (await start(on)).find(({ status }) => status === "fail" || status === "skip");
        if (bad !== undefined) return [skipped(check.name, whyNot(need, bad))];
      }
      return await within(check, options);
    })();
    running.set(check.name, found);
    return found;
  };
  for (const check of checks) start(check).catch(() => {});
  const all: Told[] = [];
  for (const group of GROUPS) {
    const own = checks.filter((check) => check.group === group);
    if (own.length === 0) continue;
    const found = (await Promise.all(own.map(async (check) =>
      (await start(check)).map((one): Told => ({ ...one, group, guide: check.guide }))
    ))).flat();
    options.onGroup?.(group, found);
    all.push(...found);
  }
  return all;
}

const whyNot = (need: string, { status, detail }: Finding): string =>
  status === "skip" ? detail : `${need} fails: ${detail}`;

async function within(
  check: Check,
  { deadlineMs, signal }: RunOptions,
): Promise<readonly Finding[]> {
  const deadline = AbortSignal.timeout(deadlineMs);
  const either = AbortSignal.any([deadline, signal]);
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const end = () => reject(either.reason);
  either.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([Promise.resolve().then(() => check.run(either)), ended]);
  } catch (thrown) {
    signal.throwIfAborted();
    if (deadline.aborted) {
      return [{
        name: check.name,
        status: "fail",
        detail: `there was no answer within ${deadlineMs / 1000} s`,
        hint: "try again with a longer --deadline; a machine or homeserver under load answers late",
      }];
    }
    const hint = thrown instanceof BureauError ? thrown.hint : undefined;
    return [{
      name: check.name,
      status: "fail",
      detail: messageOf(thrown),
      ...(hint === undefined ? {} : { hint }),
    }];
  } finally {
    either.removeEventListener("abort", end);
  }
}
