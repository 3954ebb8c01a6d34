// SPDX-License-Identifier: Apache-2.0
import { messageOf } from "../errors.ts";
import { parseRegex } from "../regex/mod.ts";
import { type AttentionSettings, MAX_WAITING } from "../schema/attention.ts";

export function attentionProblems(
  settings: AttentionSettings | undefined,
  add: (field: string, message: string) => void,
): void {
  const waiting = settings?.waiting ?? [];
  if (waiting.length > MAX_WAITING) add("attention.waiting", `names more than ${MAX_WAITING}`);
  for (const [at, pattern] of waiting.entries()) {
    try {
      parseRegex(pattern);
    } catch (error) {
      add(`attention.waiting[${at}]`, messageOf(error));
    }
  }
}
