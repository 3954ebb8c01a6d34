// SPDX-License-Identifier: Apache-2.0

/** Every scenario by topic. */
import { accounts } from "./accounts.ts";
import { directory } from "./directory.ts";
import { events } from "./events.ts";
import { media } from "./media.ts";
import { optional } from "./optional.ts";
import { power } from "./power.ts";
import { relations } from "./relations.ts";
import { rooms } from "./rooms.ts";
import { sync } from "./sync.ts";
import { visibility } from "./visibility.ts";
import type { Scenario } from "./world.ts";

export const TOPICS: Readonly<Record<string, readonly Scenario[]>> = {
  accounts,
  rooms,
  power,
  events,
  visibility,
  sync,
  relations,
  directory,
  media,
  optional,
};
