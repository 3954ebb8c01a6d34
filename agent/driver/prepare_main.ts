// SPDX-License-Identifier: Apache-2.0

/** `prepare.js NAME`: before the program runs on the terminal itself. */
import { prepare } from "./prepare.ts";

await prepare(
  Deno.args[0] ?? "",
  Deno.env.get("CLAUDE_CONFIG_DIR") ?? "/home/agent/claude",
  "/workspace",
);
