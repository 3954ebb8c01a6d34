// SPDX-License-Identifier: Apache-2.0

/** What several commands take, in the same words everywhere. */
export const AGENT = {
  name: "NAME",
  brief: "`scribe`, `agent/scribe`, or the full name",
  names: "agent",
} as const;

/** An agent or a service. */
export const PRINCIPAL = { ...AGENT, names: "principal" } as const;

/** Of what is done to an agent elsewhere. */
export const ON_MACHINE = {
  kind: "text",
  brief: "another machine of the fleet",
  placeholder: "MACHINE",
} as const;
