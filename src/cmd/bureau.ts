// SPDX-License-Identifier: Apache-2.0

/**
 * The operator's tool. Reaches the homeserver and two Unix sockets, reads and writes the operator's own
 * directory and the agents' workspaces, and may run git.
 */
import { runBureau } from "../cli/mod.ts";

Deno.exit(await runBureau(Deno.args));
