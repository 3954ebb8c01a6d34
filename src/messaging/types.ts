// SPDX-License-Identifier: Apache-2.0

/** The documents of the Client-Server API, shared with `lib/proxyclient`. */
export * from "../lib/matrix/types.ts";
