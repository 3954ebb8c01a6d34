// SPDX-License-Identifier: Apache-2.0

/** Tests: releases, good and bad, and what runs from which. */
import { releaseDigest } from "../../src/supervisor/update/release.ts";
import { type Bureau, commandLine, processesOf } from "./harness.ts";

/** Puts a release beside the others: a copy of what `up` brought, with some files changed. */
export async function place(bureau: Bureau, change: Record<string, (text: string) => string>) {
  const work = `${bureau.stateDir}/releases/.test-${crypto.randomUUID()}`;
  await Deno.mkdir(work);
  await Deno.chmod(work, 0o755);
  const from = `${bureau.stateDir}/runtime`;
  for await (const { name } of Deno.readDir(from)) {
    if (name === ".stamp" || name.startsWith("none-")) continue;
    if (name === "deno") {
      await Deno.link(`${from}/deno`, `${work}/deno`);
      continue;
    }
    const text = await Deno.readTextFile(`${from}/${name}`);
    await Deno.writeTextFile(`${work}/${name}`, change[name]?.(text) ?? text);
    await Deno.chmod(`${work}/${name}`, 0o644);
  }
  const digest = await releaseDigest(work);
  await Deno.rename(work, `${bureau.stateDir}/releases/${digest}`);
  return digest;
}

/** All of this Bureau's own processes that run from `dir`: `launcher`, `daemon`, … */
export async function running(bureau: Bureau, dir: string): Promise<string[]> {
  const lines = await Promise.all((await processesOf(bureau)).map(commandLine));
  return lines.flatMap((line) => {
    const [, role] = line.startsWith(`${dir}/deno`) ? /\/(\w+)\.js /.exec(`${line} `) ?? [] : [];
    return role === undefined ? [] : [role];
  }).sort();
}

export const ROLES = ["authority", "daemon", "homeserver", "launcher", "web"];
export const mark = (text: string) => `${text}\n// another build\n`;
export const CRASHES = () => `throw new Error("this build is broken");\n`;
export const HANGS = () => `setInterval(() => {}, 1000);\n`;
/** Says that it serves, and serves nothing. */
export const SILENT = () =>
  `for await (const _ of Deno.stdin.readable);\nconsole.log('{"ready":true}');\nsetInterval(() => {}, 1000);\n`;
