// SPDX-License-Identifier: Apache-2.0

/**
 * `sandbox check`: asks the launcher for the probes, and shows what it answered. The two halves are two
 * processes with the launcher between them, because this one may not run bwrap.
 */
import * as z from "zod/mini";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { CheckReport } from "../../launcher/api.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import type { Tone } from "../framework/screen.ts";
import { type Cell, table } from "../framework/table.ts";
import { loadSession, principalOf } from "../session.ts";
import { builtinTemplate, handOver, parseBind } from "./request.ts";

const WORDS = {
  held: "held",
  breached: "BREACHED",
  "not-applicable": "not tried",
  failed: "FAILED",
} as const;

const TONES: Readonly<Record<keyof typeof WORDS, Tone>> = {
  held: "good",
  breached: "bad",
  "not-applicable": "warn",
  failed: "bad",
};

export const check: CommandHandler = async (call) => {
  if (call.flags["report"] === true) return await show(call);
  const [name] = call.args;
  const scratch = call.flags["scratch"];
  return handOver(call, "check", {
    template: await builtinTemplate("base"),
    binds: typeof scratch === "string" ? [parseBind(`${scratch}:/workspace`, "rw")] : [],
    command: [],
    terminal: true,
    ...(name === undefined ? {} : { principal: principalOf(await loadSession(call), name) }),
  });
};

async function show(call: Invocation): Promise<unknown> {
  const text = await new Response(Deno.stdin.readable).text();
  let report: CheckReport;
  try {
    report = z.parse(CheckReport, JSON.parse(text));
  } catch (cause) {
    throw new CliError("no-report", "Cannot show the check: there is no report on stdin", {
      cause,
      hint: "run `sh tasks/bureau sandbox check`, which has it made",
    });
  }
  const { principal, results } = report;
  const count = (verdict: keyof typeof WORDS) =>
    results.filter((result) => result.verdict === verdict).length;
  call.print(
    principal === null
      ? "A fresh sandbox, made as an agent's is. An agent can't …"
      : `A second sandbox beside ${principal}, from the arguments of its own. An agent can't …`,
  );
  call.print("");
  const rows = results.map(({ id, title, defence, verdict, note }): Cell[] => [
    neutraliseLine(id),
    { text: WORDS[verdict], tone: TONES[verdict] },
    neutraliseLine(title),
    neutraliseLine(verdict === "held" ? defence : note),
  ]);
  for (const line of table(["PROPERTY", "VERDICT", "AN AGENT CAN'T", "BECAUSE"], rows)) {
    call.print(line);
  }
  call.print("");
  call.print(
    `${count("held")} held, ${count("breached")} breached, ` +
      `${count("not-applicable")} not tried here, ${count("failed")} failed`,
  );
  const bad = count("breached") + count("failed");
  // For a program the report says it all; `tasks/bureau` sees the verdicts in it.
  if (bad === 0 || call.json) return report;
  throw new CliError("breached", `The sandbox does not hold: ${bad} of ${results.length} probes`, {
    hint: "run no agent that you don't trust until `sh tasks/bureau sandbox check` is clean",
  });
}
