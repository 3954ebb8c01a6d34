// SPDX-License-Identifier: Apache-2.0

/**
 * Runs every benchmark of this folder (or those named on the command line), each in a process of its
 * own, and prints its figures beside their targets and alternatives.
 */
import type { Figure } from "./report.ts";

interface Target {
  readonly what: string;
  readonly unit: string;
  readonly gate: number;
  readonly goal: number;
  readonly better: "lower" | "higher";
}

const here = new URL(".", import.meta.url).pathname;
const targets = JSON.parse(await Deno.readTextFile(`${here}targets.json`)) as Record<
  string,
  Target
>;
const all = [...Deno.readDirSync(here)]
  .map((entry) => entry.name)
  .filter((name) => /^bench_.*\.ts$/.test(name))
  .map((name) => name.replace(/^bench_|\.ts$/g, ""))
  .sort();
const wanted = Deno.args.length > 0 ? Deno.args : all;

function verdict(target: Target, value: number): string {
  const within = (limit: number) => target.better === "lower" ? value <= limit : value >= limit;
  return within(target.goal) ? "goal" : within(target.gate) ? "gate" : "MISSED";
}

const number = (value: number) => value >= 100 ? value.toFixed(0) : value.toFixed(2);

for (const name of wanted) {
  if (!all.includes(name)) {
    console.error(`error: there is no benchmark "${name}"; there are: ${all.join(", ")}`);
    Deno.exit(2);
  }
  console.log(`\n== ${name}`);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", `${here}bench_${name}.ts`],
    stdout: "piped",
    stderr: "inherit",
    stdin: "null",
  }).spawn();
  let pending = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (pending + chunk).split("\n");
    pending = lines.pop()!;
    for (const line of lines) show(line);
  }
  const { code } = await child.status;
  if (code !== 0) {
    console.error(`error: benchmark "${name}" ended with status ${code}`);
    Deno.exitCode = 1;
  }
}

function show(line: string): void {
  if (!line.startsWith('{"figure"') && !line.startsWith('{"skipped"')) return console.log(line);
  const { figure, skipped } = JSON.parse(line) as {
    figure?: Figure;
    skipped?: { id: string; why: string };
  };
  if (skipped !== undefined) return console.log(`  skipped  ${skipped.id}: ${skipped.why}`);
  const { id, value, unit, alternative, note } = figure!;
  const target = targets[id];
  const against = alternative === undefined
    ? ""
    : `  (${alternative.name}: ${number(alternative.value)} ${unit})`;
  const aim = target === undefined
    ? ""
    : `  gate ${target.gate}, goal ${target.goal}: ${verdict(target, value)}`;
  console.log(
    `  ${(target?.what ?? id)}: ${number(value)} ${unit}${against}${aim}${
      note === undefined ? "" : `  ${note}`
    }`,
  );
}
