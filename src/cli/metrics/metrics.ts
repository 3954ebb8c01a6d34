// SPDX-License-Identifier: Apache-2.0

/** `metrics`: the daemon's scrape, as it is or in part. */
import type * as z from "zod/mini";
import { parseSeries } from "../../lib/metrics/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { daemonClient, loadSession } from "../session.ts";
import type * as results from "./results.ts";

type Sample = z.infer<typeof results.metrics>["samples"][number];

export const metrics: CommandHandler<typeof results.metrics> = async (call) => {
  const wanted = call.flags["process"] as string | undefined;
  const client = daemonClient(call, await loadSession(call));
  let text = "";
  try {
    const stream = await client.stream("metrics", { signal: call.signal });
    for await (const part of stream.pipeThrough(new TextDecoderStream())) text += part;
  } finally {
    client.close();
  }
  const samples: Sample[] = [];
  const processes = new Set<string>();
  // What a family says of itself is printed where a sample of it is.
  let head: string[] = [];
  for (const line of text.trimEnd().split("\n")) {
    if (line.startsWith("#")) {
      head = line.startsWith("# HELP") ? [line] : [...head, line];
      continue;
    }
    const sample = parseSeries(line);
    if (sample === null) continue;
    processes.add(sample.labels["process"] ?? "");
    if (wanted !== undefined && sample.labels["process"] !== wanted) continue;
    samples.push(sample);
    for (const each of [...head, line]) call.print(neutraliseLine(each));
    head = [];
  }
  if (wanted !== undefined && !processes.has(wanted)) {
    throw new CliError(
      "no-such-process",
      `Cannot find a process "${wanted}" among those that tell`,
      {
        hint: `there are ${[...processes].sort().join(", ")}`,
      },
    );
  }
  return { samples };
};
