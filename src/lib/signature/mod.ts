// SPDX-License-Identifier: Apache-2.0

/** An operator's signature on what may run (architecture rule 12). */
export * from "./signature.ts";
