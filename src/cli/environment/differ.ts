// SPDX-License-Identifier: Apache-2.0

/** What differs between two generations, package by package. */
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { type Generation, mebibytes, sizeOf } from "./generations.ts";

export interface PathChange {
  /** Of the package. */
  readonly name: string;
  /** Its versions, or `(rebuilt)` where it has none that differ. */
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** By how much it grew. */
  readonly bytes: number;
}

const REBUILT = "(rebuilt)";

/** `bash-5.2-p37` is `bash` in the version `5.2-p37`, as `nix-env` reads names. */
export function packageOf(path: string): { readonly name: string; readonly version: string } {
  const base = path.slice(path.lastIndexOf("/") + 1).replace(/^[0-9a-z]{32}-/, "");
  const at = /-(?=[0-9])/.exec(base)?.index ?? base.length;
  return { name: base.slice(0, at), version: base.slice(at + 1) };
}

export function differencesOf(before: Generation, after: Generation): PathChange[] {
  const names = new Map<string, { before: Generation["paths"]; after: Generation["paths"] }>();
  const sort = (side: "before" | "after", from: Generation, other: Generation) => {
    const kept = new Set(other.paths.map(({ path }) => path));
    for (const one of from.paths) {
      if (kept.has(one.path)) continue;
      const { name } = packageOf(one.path);
      const entry = names.get(name) ?? { before: [], after: [] };
      names.set(name, { ...entry, [side]: [...entry[side], one] });
    }
  };
  sort("before", before, after);
  sort("after", after, before);
  const versions = (paths: Generation["paths"]) =>
    paths.map(({ path }) => packageOf(path).version || REBUILT);
  const bytes = (paths: Generation["paths"]) => paths.reduce((sum, one) => sum + one.bytes, 0);
  return [...names].toSorted(([a], [b]) => a < b ? -1 : 1).map(([name, entry]) => {
    const [was, is] = [versions(entry.before), versions(entry.after)];
    const same = was.join() === is.join();
    return {
      name,
      before: same ? [] : was,
      after: same ? [REBUILT] : is,
      bytes: bytes(entry.after) - bytes(entry.before),
    };
  });
}

export function differenceLines(before: Generation, after: Generation): string[] {
  const signed = (bytes: number) => `${bytes < 0 ? "-" : "+"}${mebibytes(Math.abs(bytes))}`;
  const side = (versions: readonly string[]) => versions.join(", ") || "none";
  return [
    ...differencesOf(before, after).map((one) =>
      neutraliseLine(
        `${one.name}: ${
          one.before.length === 0 && one.after[0] === REBUILT
            ? "rebuilt"
            : `${side(one.before)} → ${side(one.after)}`
        }, ${signed(one.bytes)}`,
      )
    ),
    `${before.paths.length} → ${after.paths.length} store paths, ${mebibytes(sizeOf(before))} → ${
      mebibytes(sizeOf(after))
    }`,
  ];
}
