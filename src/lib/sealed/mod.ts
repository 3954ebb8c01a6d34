// SPDX-License-Identifier: Apache-2.0

/** Credential bundles at rest: age (https://age-encryption.org/v1) to X25519 recipients. */
export * from "./possession.ts";
export * from "./sealed.ts";
export * from "./set.ts";
export * from "./text.ts";
