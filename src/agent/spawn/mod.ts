// SPDX-License-Identifier: Apache-2.0

/** Workers of workers. See README.md. */
export { askForWorker } from "./client.ts";
export { type Spawning } from "./door.ts";
export { Nest, type NestOptions } from "./nest.ts";
export { type Asked, SPAWN_TOOL, type SpawnOptions, spawnTool } from "./tool.ts";
export { wishOf } from "./wish.ts";
