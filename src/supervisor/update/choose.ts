// SPDX-License-Identifier: Apache-2.0

/** Which build a supervisor starts everything from that no other one handed over to. */
import { systemClock } from "../../lib/clock.ts";
import type { Paths } from "../../lib/process/mod.ts";
import { type Ledger, LedgerFile } from "./ledger.ts";
import { buildDigest, verifyRelease } from "./release.ts";

export interface Chosen {
  readonly dir: string;
  /** Whether the checkout's build is to be put there first. */
  readonly install: boolean;
}

/**
 * The checkout's build; but what was running before, when an upgrade was cut short, or when that very build has
 * failed here.
 *
 * @param tell what a person should know
 */
export async function chooseRuntime(
  paths: Pick<Paths, "runtime" | "releases">,
  distDir: string,
  tell: (note: string) => void,
): Promise<Chosen> {
  const file = new LedgerFile(paths.releases);
  const ledger = await file.read();
  if (ledger.updating !== null) {
    const { to, from, step } = ledger.updating;
    const message = `cut short while the ${step} was replaced; what ran before runs again`;
    await file.change(() => ({
      updating: null,
      outcome: { to, ok: false, message, at: systemClock.now() },
    }));
    const before = await proven(paths, from);
    if (before !== null) {
      tell(
        `the upgrade to ${to.slice(0, 12)} was ${message}; \`bureau machine upgrade\` tries again`,
      );
      return before;
    }
  }
  const bad = await knownBad(ledger, distDir);
  if (bad !== null) {
    const before = await proven(paths, ledger.current);
    if (before !== null) {
      tell(`this build failed here (${bad}): what ran before it is started; build another one`);
      return before;
    }
  }
  if (ledger.current !== null) {
    await file.change(({ history }) => ({
      current: null,
      history: [...history, { digest: null, since: systemClock.now() }],
    }));
  }
  return { dir: paths.runtime, install: true };
}

/** Hashed only where something is pinned: a start has no time for it. */
async function knownBad({ bad }: Ledger, distDir: string): Promise<string | null> {
  if (Object.keys(bad).length === 0) return null;
  return bad[await buildDigest(`${distDir}/runtime`)]?.why ?? null;
}

/** @param digest null: what `up` itself had brought */
async function proven(
  { runtime, releases }: Pick<Paths, "runtime" | "releases">,
  digest: string | null,
): Promise<Chosen | null> {
  try {
    if (digest !== null) return { dir: await verifyRelease(releases, digest), install: false };
    await Deno.stat(`${runtime}/grants.txt`);
    return { dir: runtime, install: false };
  } catch {
    return null;
  }
}
