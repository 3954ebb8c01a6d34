// SPDX-License-Identifier: Apache-2.0

/** A launcher that lives for one sandbox: `bureau sandbox run` and `bureau sandbox check`. */
export * from "./once.ts";
