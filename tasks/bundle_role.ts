// SPDX-License-Identifier: Apache-2.0

/** One process as one file. */

const root = import.meta.dirname!.replace(/\/tasks$/, "");

/**
 * There is one of these for each principal, and V8 keeps the text of what it runs: short text makes each
 * proxy 0.5 MB smaller. (`--keep-names` would cost the same 0.5 MB again; no code here goes by the name of
 * a class or function.)
 */
const PER_PRINCIPAL: ReadonlySet<string> = new Set(["proxy", "relay", "bridge"]);

/**
 * With the browser's build of their packages: npm:yaml's other one asks for variables of the environment
 * (LOG_TOKENS) whenever it reads something.
 */
const BROWSER_BUILDS: ReadonlySet<string> = new Set(["bureau", "up"]);

/** @throws Error with the bundler's words */
export async function bundleRole(role: string, output: string): Promise<void> {
  await bundleFile(`src/cmd/${role}.ts`, output, [
    ...PER_PRINCIPAL.has(role) ? ["--minify"] : [],
    ...BROWSER_BUILDS.has(role) ? ["--platform", "browser"] : [],
  ]);
}

/** @param source relative to the checkout @throws Error with the bundler's words */
export async function bundleFile(
  source: string,
  output: string,
  flags: readonly string[] = [],
): Promise<void> {
  await bundle(source, [...flags, "--output", output]);
  await Deno.writeTextFile(output, inAscii(await Deno.readTextFile(output)));
}

/**
 * The command line as many files: V8 reads one text of 2 MB whole before its first line runs, and a command needs a tenth
 * of it. Deno takes every file that an import names into memory at the start, so that a command which runs for days
 * outlives the next build.
 *
 * @param dir gets `bureau.js` and what it imports @throws Error with the bundler's words
 */
export async function bundleCli(dir: string): Promise<void> {
  const flags = ["--platform", "browser", "--code-splitting", "--outdir", dir];
  await bundle("src/cmd/bureau.ts", flags);
  for await (const { name } of Deno.readDir(dir)) {
    await Deno.writeTextFile(`${dir}/${name}`, inAscii(await Deno.readTextFile(`${dir}/${name}`)));
  }
}

async function bundle(source: string, flags: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", "--frozen", ...flags, source],
    cwd: root,
    env: { RUST_BACKTRACE: "0", NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    throw new Error(`Cannot bundle "${source}":\n${new TextDecoder().decode(stderr).trim()}`);
  }
}

/**
 * A text with one character beyond ASCII is copied, one beyond Latin 1 takes twice the memory: 0.3 MB of a
 * proxy for an arrow in a comment. Only strings, templates and comments hold such characters here.
 */
export function inAscii(text: string): string {
  // deno-lint-ignore no-control-regex -- ASCII with its control characters is what stays
  return text.replace(/[^\x00-\x7f]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
