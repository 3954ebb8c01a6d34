// SPDX-License-Identifier: Apache-2.0

/**
 * What a terminal looks like whose program waits for a person, or has nothing to do. Data: what is known of some programs,
 * which change; a template adds its own (`attention.waiting`), and an agent that says it itself needs none of this.
 */
export interface Pattern {
  /** Whose screen it is. */
  readonly kind: "claude-code" | "codex" | "shell" | "generic" | "template";
  /** `working`: nothing else on the screen counts. */
  readonly means: "working" | "waiting" | "idle";
  /**
   * `cursor`: the cursor's line up to the cursor, blanks at its end taken away. `screen`: any of the last lines with
   * something on them.
   */
  readonly where: "cursor" | "screen";
  /** As `lib/regex` takes it. */
  readonly pattern: string;
}

/** Lines of the screen's end that are looked at. */
export const LAST_LINES = 14;

export const PATTERNS: readonly Pattern[] = [
  { kind: "claude-code", means: "working", where: "screen", pattern: "(?i)\\besc to interrupt\\b" },
  {
    kind: "claude-code",
    means: "waiting",
    where: "screen",
    pattern: "\\b(Do you want|Would you like) to .*\\?",
  },
  { kind: "claude-code", means: "waiting", where: "screen", pattern: "\\u276f\\s*1\\.\\s" },
  {
    kind: "claude-code",
    means: "waiting",
    where: "screen",
    pattern:
      "\\bDo you trust the (files|contents)\\b|\\bor one you trust\\?|\\bEnter to confirm\\b",
  },
  {
    kind: "claude-code",
    means: "idle",
    where: "screen",
    pattern: "\\? for shortcuts|\\u23f5\\u23f5 |\\b(plan|manual) mode on\\b",
  },
  { kind: "codex", means: "waiting", where: "screen", pattern: "\\u203a\\s*1\\.\\s" },
  {
    kind: "codex",
    means: "waiting",
    where: "screen",
    pattern: "(?i)\\bpress enter to confirm\\b|\\ballow command\\?",
  },
  {
    kind: "codex",
    means: "idle",
    where: "screen",
    pattern: "^\\u203a Ask Codex\\b|\\u23ce send\\b|\\bCtrl\\+J newline\\b|\\bcontext left\\b",
  },
  {
    kind: "generic",
    means: "waiting",
    where: "cursor",
    pattern: "(?i)[[(](y/n|n/y|yes/no|y/n/a|y/n/q|yes/no/\\[?fingerprint\\]?)[])]",
  },
  {
    kind: "generic",
    means: "waiting",
    where: "cursor",
    pattern: "(?i)\\b(password|passphrase|passcode|pin|otp|verification code|token)\\b.*:$",
  },
  {
    kind: "generic",
    means: "waiting",
    where: "cursor",
    pattern: "(?i)\\b(login|user ?name|e-?mail( address)?)\\b.*:$",
  },
  {
    kind: "generic",
    means: "waiting",
    where: "cursor",
    pattern: "(?i)\\b(press|hit|strike|type) .*\\b(enter|return|any key|a key|space)\\b",
  },
  { kind: "generic", means: "waiting", where: "cursor", pattern: "(?i)^-+ ?more ?-+" },
  // Somebody was asked something, and the cursor stands where the answer goes.
  { kind: "generic", means: "waiting", where: "cursor", pattern: "[A-Za-z].*\\?$" },
  { kind: "shell", means: "idle", where: "cursor", pattern: "^.*[$#%\\u276f\\u279c]$" },
  {
    kind: "shell",
    means: "idle",
    where: "cursor",
    pattern: "^(>>>|\\(gdb\\)|\\S+=[#>]|> ?)$",
  },
];
