// SPDX-License-Identifier: Apache-2.0

/** Whether somebody is needed, as far as a terminal shows it. Loads no schema library: part of each relay. */
export { Activity, type ActivityFrame, type ActivityScreen, QUIET_MS } from "./activity.ts";
export { MAX_PATTERNS } from "./looks.ts";
export { activityOfRelay, serveActivity } from "./serve.ts";
