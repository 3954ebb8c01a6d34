// SPDX-License-Identifier: Apache-2.0
import type { Secret } from "../schema/events.ts";

const ENVIRONMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** One name, so that it leads nowhere else. */
const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** What is wrong with a list of secrets, wherever it stands: an assignment's is not validated when it is written. */
export function secretProblems(secrets: readonly Secret[]): { at: number; message: string }[] {
  const problems: { at: number; message: string }[] = [];
  const seen = new Set<string>();
  for (const [at, { key, env, file }] of secrets.entries()) {
    const add = (message: string) => problems.push({ at, message });
    if (key === "") add("must name a credential");
    if (env === undefined && file === undefined) add("must name env, file, or both");
    if (env !== undefined && !ENVIRONMENT_NAME.test(env)) add(`env ${env} is no variable name`);
    if (file !== undefined && !FILE_NAME.test(file)) add(`file ${file} is no plain file name`);
    for (const name of [`key ${key}`, env && `env ${env}`, file && `file ${file}`]) {
      if (name && seen.has(name)) add(`has ${name} a second time`);
      if (name) seen.add(name);
    }
  }
  return problems;
}
