// SPDX-License-Identifier: Apache-2.0

/** Groups of probes that share a sandbox, and the processes that run them as one user or another. */
import {
  type Defence,
  type Probe,
  type ProbeResult,
  readResults,
} from "../../src/sandbox/probes/mod.ts";

const ROOT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");
/** Who "an ordinary user" is when the tests are root. */
const ORDINARY = 12_345;

export interface Group {
  readonly name: string;
  readonly kind: "held" | "control";
  readonly without: readonly Defence[] | "all";
  /** The agent's sandbox alone, started by whoever runs it: for what a root caller would keep. */
  readonly flat: boolean;
  readonly ids: readonly string[];
  /** Host directory with `deno` and `bridge.js`: a bridge runs beside the probes. */
  readonly runtime?: string;
}

export interface GroupOutput {
  readonly name: string;
  readonly text: string;
  readonly error?: string;
}

/** Probes whose controls take away the same run in one sandbox. */
export function controlGroups(probes: readonly Probe[], as: "root" | "ordinary"): Group[] {
  const groups = new Map<string, string[]>();
  for (const { id, control } of probes) {
    if ((control.needs === "root") !== (as === "root")) continue;
    const key = JSON.stringify(control.without);
    groups.set(key, [...groups.get(key) ?? [], id]);
  }
  return [...groups].map(([key, ids], index) => ({
    name: `control-${index}`,
    kind: "control",
    without: JSON.parse(key),
    flat: as === "root",
    ids,
  }));
}

let bundled: Promise<string> | null = null;

/** One file, which another user can run without a cache of packages. */
function bundle(): Promise<string> {
  return bundled ??= (async () => {
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-esc" });
    globalThis.addEventListener("unload", () => Deno.removeSync(dir, { recursive: true }));
    await Deno.chmod(dir, 0o755);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["bundle", "--quiet", "--output", `${dir}/host.js`, "tests/escape/host.ts"],
      cwd: ROOT,
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    await Deno.chmod(`${dir}/host.js`, 0o644);
    return `${dir}/host.js`;
  })();
}

/**
 * @param as `root` stays who we are; `ordinary` is another user where we are root
 * @returns the results of each group, or why it has none
 */
export async function runGroups(
  probes: readonly Probe[],
  groups: readonly Group[],
  as: "root" | "ordinary",
): Promise<{ group: Group; results: ProbeResult[] }[]> {
  const host = await bundle();
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-esc" });
  const drop = Deno.uid() === 0 && as === "ordinary";
  if (drop) await Deno.chown(dir, ORDINARY, ORDINARY);
  try {
    const process = new Deno.Command("/usr/bin/setpriv", {
      args: [
        "--pdeathsig=KILL",
        ...(drop ? [`--reuid=${ORDINARY}`, `--regid=${ORDINARY}`, "--clear-groups"] : []),
        "--",
        Deno.execPath(),
        ...["run", "--quiet", "--allow-all", "--no-config", "--cached-only", host],
      ],
      cwd: "/",
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", HOME: dir, DENO_DIR: `${dir}/deno`, TERM: "xterm" },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify({ dir, groups })));
    await writer.close();
    const { success, stdout } = await process.output();
    if (!success) throw new Error("the host of the sandboxes failed");
    const outputs = new TextDecoder().decode(stdout).trim().split("\n")
      .map((line) => JSON.parse(line) as GroupOutput);
    return groups.map((group) => {
      const output = outputs.find(({ name }) => name === group.name);
      if (output?.error !== undefined) throw new Error(`${group.name}: ${output.error}`);
      const chosen = probes.filter(({ id }) => group.ids.includes(id));
      return { group, results: readResults(chosen, output?.text ?? "") };
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
