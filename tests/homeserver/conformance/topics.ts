// SPDX-License-Identifier: Apache-2.0

/** Every scenario by topic. */
import { accounts } from "./accounts.ts";
import { events } from "./events.ts";
import { power } from "./power.ts";
import { rooms } from "./rooms.ts";
import { visibility } from "./visibility.ts";
import type { Scenario } from "./world.ts";

export const TOPICS: Readonly<Record<string, readonly Scenario[]>> = {
  accounts,
  rooms,
  power,
  events,
  visibility,
};
