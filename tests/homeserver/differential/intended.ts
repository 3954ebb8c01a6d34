// SPDX-License-Identifier: Apache-2.0

/** Every difference between the embedded homeserver and Synapse that is meant, with its reason. */
import type { Intended } from "./compare.ts";

export const INTENDED: readonly Intended[] = [];
