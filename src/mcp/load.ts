// SPDX-License-Identifier: Apache-2.0

/**
 * The SDK is as long as a third of the CLI, and Deno reads the whole of a file before it runs it: so it is a
 * file of its own, which no command but `mcp serve` opens.
 */
export type Sdk = typeof import("./sdk.ts");

export async function loadSdk(): Promise<Sdk> {
  // Bundled as tasks/bundle.ts names it. Not written as one literal: the bundler would take it in.
  const file = import.meta.url.endsWith(".ts") ? "./sdk.ts" : "./mcp_sdk.js";
  return await import(new URL(file, import.meta.url).href);
}
