// SPDX-License-Identifier: Apache-2.0

/** What several commands take, in the same words everywhere. */
export const AGENT = {
  name: "NAME",
  brief: "`scribe`, `agent/scribe`, or the full name",
  names: "agent",
} as const;

/** An agent or a service. */
export const PRINCIPAL = { ...AGENT, names: "principal" } as const;
