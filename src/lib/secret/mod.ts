// SPDX-License-Identifier: Apache-2.0

/** Secrets in memory that don't slip into a log, an error or a document, and are gone when they are closed. */
export * from "./secret.ts";
