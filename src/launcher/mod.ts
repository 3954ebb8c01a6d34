// SPDX-License-Identifier: Apache-2.0

/** The privileged side: makes and ends cells, keeps the machine key, distrusts everybody. */
export * from "./launcher.ts";
export * from "./preflight.ts";
export * from "./prove.ts";
