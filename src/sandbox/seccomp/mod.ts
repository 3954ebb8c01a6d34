// SPDX-License-Identifier: Apache-2.0

/** Seccomp programs for Bureau's cells. */
export { type Profile, PROFILES, seccompHere, seccompProgram } from "./filter.ts";
