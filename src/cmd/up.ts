// SPDX-License-Identifier: Apache-2.0

/**
 * The dev-box supervisor. Started by a person through `tasks/up`; may run Deno (for Bureau's own
 * processes) and setpriv, write its directories, and talk to two Unix sockets. Never in production.
 */
import { runUp } from "../supervisor/run.ts";

Deno.exit(await runUp(Deno.args));
