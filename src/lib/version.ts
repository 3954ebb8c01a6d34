// SPDX-License-Identifier: Apache-2.0

/** Of this release; every process of one installation has the same. */
export const VERSION = "0.1.0";
