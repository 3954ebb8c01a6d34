// SPDX-License-Identifier: Apache-2.0

/** The thread of the daemon in which every principal's egress gate runs (architecture rule 5). */
import { serveGates, type ThreadPort } from "../daemon/egress/thread.ts";
import { guardSpans } from "../lib/telemetry/mod.ts";
import { createLogger } from "../lib/log.ts";

guardSpans();
serveGates(self as unknown as ThreadPort, createLogger("egress"));
