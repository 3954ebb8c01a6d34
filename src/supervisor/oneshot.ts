// SPDX-License-Identifier: Apache-2.0

/** Runs a process that takes one document on stdin, answers with one line of JSON, and ends. */
import { parseErrorBody } from "../lib/http/errors.ts";
import type { Identity } from "./child.ts";
import { SupervisorError } from "./errors.ts";

/** What a one-shot command may take: a first boot on a slow disk is seconds. */
const DEADLINE_MS = 60_000;

export interface OneShot {
  /** For messages, e.g. `bureau boot`. */
  readonly name: string;
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly identity?: Identity;
  /** Secret. */
  readonly document: unknown;
}

/** Arguments of `setpriv` that keep a child from outliving us or gaining rights. */
export function privilegeArguments(identity: Identity | undefined): string[] {
  return [
    "--pdeathsig=TERM",
    "--no-new-privs",
    ...(identity === undefined ? [] : [
      `--reuid=${identity.uid}`,
      `--regid=${identity.gid}`,
      "--clear-groups",
    ]),
    "--",
  ];
}

/** @throws {SupervisorError} with the code, message and hint that the process gave */
export async function runOneShot(shot: OneShot): Promise<Record<string, unknown>> {
  const process = new Deno.Command("/usr/bin/setpriv", {
    args: [...privilegeArguments(shot.identity), ...shot.command],
    cwd: shot.cwd,
    env: { ...shot.env },
    clearEnv: true,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  const timer = setTimeout(() => process.kill("SIGKILL"), DEADLINE_MS);
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(shot.document))).catch(() => {});
  await writer.close().catch(() => {});
  const { success, stdout, stderr } = await process.output().finally(() => clearTimeout(timer));
  const body = parseObject(new TextDecoder().decode(stdout));
  const said = new TextDecoder().decode(stderr).trim().split("\n").at(-1) ?? "";
  // The command line says on stderr why it failed, the launcher where its answer would be.
  const error = parseErrorBody(body) ?? parseErrorBody(parseObject(said));
  if (error !== null) {
    throw new SupervisorError(error.code, error.message, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
  if (!success || body === null) {
    throw new SupervisorError(
      "command-failed",
      `Cannot finish "${shot.name}": ${said || "it ended without an answer"}`,
    );
  }
  return body;
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text.trim());
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : null;
  } catch {
    return null;
  }
}
