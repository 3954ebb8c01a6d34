// SPDX-License-Identifier: Apache-2.0

/** `proxy call`, declared. */
import { PRINCIPAL } from "../arguments.ts";
import { defineCommand } from "../framework/command.ts";

export const proxyCommand = defineCommand({
  path: ["proxy", "call"],
  tool: { none: "`sh tasks/bureau` prepares what it needs" },
  brief: "Make one request to an agent's proxy, as the agent would",
  docs:
    "The request has the agent's grants and the agent's credentials, and no others: what it is refused, the agent is refused. The answer's " +
    "body goes to stdout; a status of 400 or more ends with status 1.",
  args: [PRINCIPAL, { name: "METHOD", brief: "GET, POST, …" }, {
    name: "PATH",
    brief: "`/v1/identity`, `/v1/services`, `/http/<service>/…`",
  }],
  flags: {
    header: { kind: "texts", brief: "a header; may be repeated", placeholder: "NAME: VALUE" },
    body: { kind: "switch", brief: "send what comes on stdin" },
    include: { kind: "switch", brief: "print status and headers on stderr" },
    socket: {
      kind: "text",
      brief: "the proxy's socket (`sh tasks/bureau` finds it)",
      placeholder: "PATH",
    },
  },
  examples: [
    "sh tasks/bureau proxy call agent/scribe GET /v1/identity",
    "sh tasks/bureau proxy call --include agent/scribe GET /v1/services",
  ],
  raw: "the answer's body, as it is",
  load: async () => (await import("./call.ts")).call,
});
