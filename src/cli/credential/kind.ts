// SPDX-License-Identifier: Apache-2.0

/** What a credential is, for people. */
import type { CredentialKind } from "../../lib/schema/mod.ts";
import { CLAUDE, CODEX, type SealedInput } from "../agent/credentials.ts";

export function kindOf({ value, oauth2 }: SealedInput[string]): CredentialKind {
  if (/^-----BEGIN (OPENSSH|RSA|EC) PRIVATE KEY-----/.test(value)) return "ssh-key";
  if (oauth2?.client_id === CLAUDE.client_id || /^sk-ant-oat/.test(value)) {
    return "claude-subscription";
  }
  if (oauth2?.client_id === CODEX.client_id) return "codex-subscription";
  return oauth2 === undefined ? "static" : "oauth2";
}
