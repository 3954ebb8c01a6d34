// SPDX-License-Identifier: Apache-2.0

/** The executors of this build. Another engine is another line here, and its loading costs only who uses it. */
import { ExecutorRegistry } from "./executor.ts";

/** @param environment of the sandbox around this worker, for the programs that it runs; absent: there is none */
export function builtinExecutors(
  environment: Readonly<Record<string, string>> = {},
): ExecutorRegistry {
  return new ExecutorRegistry()
    .register("echo", async () => (await import("./executors/echo.ts")).echoExecutor())
    .register(
      "cli_adapter",
      async (spec) => {
        const { cliAdapter } = await import("./executors/cli_adapter.ts");
        const { ClaudeProtocol } = await import("../driver/claude.ts");
        return cliAdapter(spec, {
          environment,
          jsonLines: (told, options) => new ClaudeProtocol(told, options),
        });
      },
    )
    .register(
      "bamboo_runtime",
      async (spec) => await (await import("./executors/bamboo_runtime.ts")).bambooRuntime(spec),
    );
}
