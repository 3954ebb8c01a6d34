// SPDX-License-Identifier: Apache-2.0

/** X.509 certificates, issued without a library. */
export * from "./certificate.ts";
export { pem } from "./der.ts";
export { fingerprint, makeSelfMade, pinOf, RENEW_MS, type SelfMade } from "./self_made.ts";
