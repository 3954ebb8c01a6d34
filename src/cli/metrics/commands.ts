// SPDX-License-Identifier: Apache-2.0

/** `metrics`, declared. */
import { type CommandSpec, defineCommand } from "../framework/command.ts";

export const metricsCommand: CommandSpec = defineCommand({
  path: ["metrics"],
  tool: { effect: "reads" },
  brief: "What every process of this machine tells of itself",
  docs:
    "In the text format of Prometheus, as `GET /metrics` of the daemon has it; the guide's page on metrics has the names, a " +
    "scrape configuration, alert rules and a dashboard.",
  flags: {
    process: {
      kind: "text",
      brief: "only one kind: daemon, launcher, homeserver, web, proxy, relay or agent-service",
      placeholder: "PROCESS",
    },
  },
  examples: ["sh tasks/bureau metrics", "sh tasks/bureau metrics --process launcher"],
  result: async () => (await import("./results.ts")).metrics,
  load: async () => (await import("./metrics.ts")).metrics,
});
