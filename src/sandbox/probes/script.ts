// SPDX-License-Identifier: Apache-2.0

/** Many probes as one shell script, so that a sandbox is started once for all of them. */
import { PERL_PRELUDE, SH_PRELUDE } from "./prelude.ts";
import type { Probe, ProbeResult, Verdict } from "./probe.ts";

/** No script holds this line. */
const END = "END-OF-BUREAU-PROBE";
/** A probe that takes longer has failed; none needs a second. */
const SECONDS = 20;

/**
 * @returns a script for `sh` that runs each probe in a process of its own and prints one line of JSON
 * for each, `{"id":…,"verdict":…,"note":…}`, then the line `done`
 */
export function probeScript(probes: readonly Probe[]): string {
  const header = [
    "#!/bin/sh",
    "# Written by Bureau: tries what a sandbox must refuse. Harmless; see src/sandbox/probes.",
    "umask 077",
    // What it was given, before it opens anything itself: numbers of descriptors.
    "BUREAU_PROBE_DESCRIPTORS=",
    "for path in /proc/$$/fd/*; do",
    '  if [ -L "$path" ]; then BUREAU_PROBE_DESCRIPTORS="$BUREAU_PROBE_DESCRIPTORS ${path##*/}"; fi',
    "done",
    "BUREAU_PROBE_DRIVER=$$",
    "export BUREAU_PROBE_DRIVER BUREAU_PROBE_DESCRIPTORS",
    "probe() {",
    "  name=$1",
    "  shift",
    '  if ! command -v "$1" >/dev/null; then',
    `    line='{"verdict":"not-applicable","note":"no '$1' in the sandbox"}'`,
    "  else",
    // In the foreground: a probe asks its controlling terminal.
    `    line=$(timeout --foreground --kill-after 1 ${SECONDS} "$@" /dev/fd/3 2>&1 | grep '^{"verdict"' | head -n 1)`,
    "  fi",
    `  [ -n "$line" ] || line='{"verdict":"failed","note":"it came to no verdict"}'`,
    `  printf '{"id":"%s",%s\\n' "$name" "\${line#?}"`,
    "}",
  ];
  const bodies = probes.flatMap((probe) => {
    const program = probe.language === "perl" ? "perl -MPOSIX" : "sh";
    const prelude = probe.language === "perl" ? PERL_PRELUDE : SH_PRELUDE;
    return [
      `probe ${probe.id} ${program} 3<<'${END}'`,
      prelude.trim(),
      probe.script.trim(),
      END,
    ];
  });
  return [...header, ...bodies, "echo done", ""].join("\n");
}

const VERDICTS: readonly string[] = [
  "held",
  "breached",
  "not-applicable",
  "failed",
] satisfies Verdict[];

/**
 * Reads what `probeScript` printed. The text comes from inside the sandbox: anything that is no result
 * of one of `probes` is passed over, and a probe without a result is told as such.
 */
export function readResults(probes: readonly Probe[], text: string): ProbeResult[] {
  const found = new Map<string, ProbeResult>();
  for (const line of text.split("\n")) {
    // A probe that put something into its terminal had it echoed.
    const at = line.indexOf('{"id":');
    const result = at < 0 ? null : readResult(line.slice(at).trim());
    if (result !== null && !found.has(result.id)) found.set(result.id, result);
  }
  return probes.map(({ id }) => found.get(id) ?? { id, verdict: "failed", note: "it was not run" });
}

function readResult(line: string): ProbeResult | null {
  try {
    const { id, verdict, note } = JSON.parse(line) as Record<string, unknown>;
    if (typeof id !== "string" || typeof note !== "string") return null;
    if (typeof verdict !== "string" || !VERDICTS.includes(verdict)) return null;
    return { id, verdict: verdict as Verdict, note };
  } catch {
    return null;
  }
}
