// SPDX-License-Identifier: Apache-2.0

/** What a question about a tool call may be; without zod, for the proxy. */

/** What a tool call does, as `enforce_permissions` gates it. */
export const PERMISSIONS = [
  "write-file",
  "http",
  "execute-command",
  "git-write",
  "delete",
  "terminal-session",
  "other",
] as const;

/** Of each field: more is refused, not cut, for what people see must be what is meant. */
export const MAX_TOOL = 100;
export const MAX_RESOURCE = 4_000;
export const KEY = /^[A-Za-z0-9_-]{16,64}$/;

/** Unanswered it is denied then. */
export const APPROVAL_TIMEOUT_MS = 300_000;
