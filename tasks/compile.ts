// SPDX-License-Identifier: Apache-2.0

/**
 * Compiles what `deno task bundle` made: an executable for each process of the units, which holds its permission set and
 * the grants of an installation, whose paths are constant. The same bundle gives the same file, so SHA256SUMS says what
 * a build must come to. (Cells run the bundle: all proxies and relays share the pages of one Deno.)
 */
import { createHash } from "node:crypto";
import { denoArguments, parseGrants, type Role } from "../src/lib/process/mod.ts";

/** Those that deploy/systemd starts. */
const ROLES: readonly Role[] = ["homeserver", "launcher", "daemon", "web"];
/** As deploy/install lays them out; deploy/systemd/bureau-role takes a bundle where something else is said. */
const PLACES = {
  STATE: "/var/lib/bureau",
  RUN: "/run/bureau",
  RUNTIME: "/usr/lib/bureau",
  DENO: "/usr/lib/bureau/runtime/deno",
  LISTEN: "127.0.0.1:6167",
};

const dist = Deno.args[0];
if (dist === undefined) throw new Error("usage: compile.ts DIST");
const runtime = `${dist}/runtime`;
const grants = parseGrants(await Deno.readTextFile(`${runtime}/grants.txt`), PLACES);
const work = await Deno.makeTempDir({ dir: dist, prefix: ".bin-" });

/** @throws Error that says what to do where Deno lacks its runtime */
async function compile(role: Role): Promise<void> {
  const [, ...words] = denoArguments(role, runtime, grants);
  // The module of the daemon's thread, beside its own.
  const included = role === "daemon" ? ["--include", `${runtime}/gate_worker.js`] : [];
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["compile", "--output", `${work}/${role}`, ...included, ...words],
    env: { RUST_BACKTRACE: "0", NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return;
  const said = new TextDecoder().decode(stderr).trim();
  if (!/denort|dl\.deno\.land/.test(said)) throw new Error(`Cannot compile "${role}":\n${said}`);
  throw new Error(
    `Cannot compile "${role}": the Deno runtime that goes under a program (denort ${Deno.version.deno}) can't be downloaded from dl.deno.land\n` +
      "hint: bring it from another machine and set DENORT_BIN to the file; or use what `deno task bundle` makes, which needs no download: the units run that where there is no program",
  );
}

try {
  for (const role of ROLES) await compile(role);
  const sums: string[] = [];
  for (const role of ROLES) {
    await Deno.chmod(`${work}/${role}`, 0o755);
    const hash = createHash("sha256").update(await Deno.readFile(`${work}/${role}`));
    sums.push(`${hash.digest("hex")}  ${role}\n`);
  }
  await Deno.writeTextFile(`${work}/SHA256SUMS`, sums.join(""));
  await Deno.chmod(work, 0o755);
  await Deno.remove(`${dist}/bin`, { recursive: true }).catch(() => {});
  await Deno.rename(work, `${dist}/bin`);
  console.log(`compiled: ${dist}/bin`);
} catch (thrown) {
  console.error(`error: ${thrown instanceof Error ? thrown.message : thrown}`);
  Deno.exitCode = 1;
} finally {
  await Deno.remove(work, { recursive: true }).catch(() => {});
}
