// SPDX-License-Identifier: Apache-2.0

/** What the commands of `egress` give as JSON. */
import * as z from "zod/mini";
import { AsksAnswer, DecideAnswer, PrincipalEgress } from "../../daemon/api.ts";

const Edited = z.object({
  principal: z.string(),
  entry: z.string(),
  list: z.enum(["allow", "deny", "ask"]),
  undo: z.boolean(),
  changed: z.boolean(),
});
const Decided = z.union([
  DecideAnswer,
  /** Of a destination for good, which the assignment has now. */
  z.object({ ask: z.string(), verdict: z.enum(["approve", "deny"]), always: z.boolean() }),
]);

export const list = AsksAnswer;
export const show = PrincipalEgress;
export const approve = Decided;
export const deny = Decided;
export const allow = Edited;
export const ask = Edited;
export const block = Edited;
