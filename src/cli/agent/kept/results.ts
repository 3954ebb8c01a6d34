// SPDX-License-Identifier: Apache-2.0

/** What the commands about kept things give as JSON. */
import * as z from "zod/mini";
import {
  Commit,
  CommitList,
  MetricsAnswer,
  Session,
  SessionList,
} from "../../../services/agent/api.ts";
import { metrics as ofProxy } from "../results.ts";

/** Of the proxy, and of the sessions; null: nobody keeps them. */
export const metrics = z.object({ ...ofProxy.shape, sessions: z.nullable(MetricsAnswer) });
/** Of one where one is named; nothing where its log is written. */
export const session = z.optional(z.union([SessionList, Session]));
export const list = CommitList;
export const show = Commit;
export const fork = Commit;
