// SPDX-License-Identifier: Apache-2.0

/** Text and terminal bytes that others wrote, made safe to show on a person's terminal. */
export * from "./filter.ts";
export * from "./neutralise.ts";
