// SPDX-License-Identifier: Apache-2.0

/**
 * The web page's process: files over a Unix socket, for the daemon in front of it. What the page may load and
 * reach is said here once, for both.
 */
import * as z from "zod/mini";

export const WebBootstrap = z.object({
  version: z.literal(1),
  /** Its own socket. */
  socket: z.string(),
});
export type WebBootstrap = z.infer<typeof WebBootstrap>;

/**
 * Nothing of elsewhere, nothing inline, no frame around it, and no text that becomes HTML or code: what agents
 * write is shown on this page.
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

/** Of every answer, also of those that are no page. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
};
