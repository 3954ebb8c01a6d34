// SPDX-License-Identifier: Apache-2.0

/**
 * What is looked at again between the plan and the agent's first instruction. Whoever can write in a
 * workspace can swap what lies there while a sandbox is being made: the check of the plan says what was
 * meant, these say what was mounted.
 */
import { boundSources, type SandboxPlan } from "./plan_parts.ts";

/** In the cell; absent where nothing is bound. */
export const BOUND_FILE = "bound.sh";
/** In the cell's contract directory; absent where nothing is protected. */
export const GUARD_FILE = "guard.sh";
/** As a shell says "found, but can't be run". */
export const REFUSED_STATUS = 126;

const quote = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;

/** Sourced in the tmux cell before the sandbox is made: each bound source is the file that was checked. */
export function boundScript(plan: SandboxPlan): string | null {
  const known = boundSources(plan).flatMap(({ bound: { identity }, at }) =>
    identity === undefined ? [] : [{ at, identity }]
  );
  if (known.length === 0) return null;
  const paths = known.map(({ at }) => at).join(" ");
  const wanted = known.map(({ identity }) => identity).join("\n");
  return [
    `[ "$(/usr/bin/stat -c %d:%i ${paths})" = ${quote(wanted)} ] || {`,
    "  echo 'bureau: refused: what this sandbox binds changed while it was made' >&2",
    `  return ${REFUSED_STATUS}`,
    "}",
    "",
  ].join("\n");
}

/**
 * Sourced in the sandbox before the agent's command: each protected name is a mount at its own place. A link
 * planted while bwrap worked would have led it elsewhere. Builtins only, for a sysroot may have no others.
 */
export function guardScript(plan: SandboxPlan): string | null {
  const places = plan.mounts.filter((mount) =>
    mount.kind === "bind" && (mount.why === "protected" || mount.why === "pinned")
  ).map(({ dest }) => dest);
  if (places.length === 0) return null;
  const patterns = places.map((place) => quote(escaped(place)));
  return [
    "# Written by Bureau: what your workspace protects is mounted where it should be.",
    "bureau_seen=' '",
    "while read -r bureau_a bureau_a bureau_a bureau_a bureau_place bureau_a; do",
    `  case $bureau_place in ${
      patterns.join("|")
    }) bureau_seen="$bureau_seen$bureau_place " ;; esac`,
    "done </proc/self/mountinfo",
    `for bureau_place in ${patterns.join(" ")}; do`,
    '  case $bureau_seen in *" $bureau_place "*) ;; *)',
    "    printf 'bureau: refused: %s changed while the sandbox was made\\n' \"$bureau_place\" >&2",
    `    exit ${REFUSED_STATUS} ;;`,
    "  esac",
    "done",
    "unset bureau_seen bureau_place bureau_a",
    "",
  ].join("\n");
}

/** As the kernel writes a path in mountinfo. */
function escaped(path: string): string {
  return path.replace(/[ \t\n\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
