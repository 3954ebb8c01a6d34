// SPDX-License-Identifier: Apache-2.0

/** Workers that another process holds: the protocol, and both of its sides. */
export { PlacedWorker, PlacementError, type PlaceOptions } from "./placed.ts";
export { type PlacementHost, servePlacement } from "./serve.ts";
export { PLACE_PATH, placeAtSocket } from "./unix.ts";
