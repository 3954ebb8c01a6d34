// SPDX-License-Identifier: Apache-2.0

/** The Matrix events that Bureau reads and writes, and who may send them. */
export * from "./bureau_version.ts";
export * from "./agent_session.ts";
export * from "./attention.ts";
export * from "./condition.ts";
export * from "./events.ts";
export * from "./fleet.ts";
export * from "./fleet_room.ts";
export * from "./notices.ts";
export * from "./health.ts";
export * from "./parse.ts";
export * from "./powerLevels.ts";
export * from "./subject.ts";
export * from "./workspace.ts";
export * from "./recording.ts";
