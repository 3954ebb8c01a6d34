// SPDX-License-Identifier: Apache-2.0

/** The executors of this build. Another engine is another line here, and its loading costs only who uses it. */
import { ExecutorRegistry } from "./executor.ts";

export function builtinExecutors(): ExecutorRegistry {
  return new ExecutorRegistry()
    .register("echo", async () => (await import("./executors/echo.ts")).echoExecutor())
    .register(
      "cli_adapter",
      async (spec) => (await import("./executors/cli_adapter.ts")).cliAdapter(spec),
    )
    .register(
      "bamboo_runtime",
      async (spec) => await (await import("./executors/bamboo_runtime.ts")).bambooRuntime(spec),
    );
}
