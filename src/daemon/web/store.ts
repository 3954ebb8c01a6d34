// SPDX-License-Identifier: Apache-2.0

/** What outlives the daemon of the web page: who may open it, and where it listens. */
import * as z from "zod/mini";
import type { Logger } from "../../lib/log.ts";
import { stateFile } from "../state_file.ts";

const Kind = z.enum(["link", "token", "share"]);

const Grant = z.object({
  id: z.string(),
  kind: Kind,
  name: z.string(),
  user: z.string(),
  principal: z.nullable(z.string()),
  sha256: z.string(),
  created_at: z.number(),
  expires_at: z.number(),
  used_at: z.nullable(z.number()),
  /** A one-time link that was used. */
  spent: z.boolean(),
});
export type Grant = z.infer<typeof Grant>;

const Session = z.object({
  /** Of the cookie. */
  sha256: z.string(),
  /** Id of what it came by. */
  grant: z.string(),
  kind: Kind,
  user: z.string(),
  principal: z.nullable(z.string()),
  created_at: z.number(),
  seen_at: z.number(),
  expires_at: z.number(),
});
export type Session = z.infer<typeof Session>;

/** On the local network: the address, and what its TLS needs. The authority's key is kept nowhere. */
const Lan = z.object({
  address: z.string(),
  port: z.number(),
  authority: z.string(),
  certificate: z.string(),
  key: z.string(),
  expires_at: z.number(),
});
export type Lan = z.infer<typeof Lan>;

const Content = z.object({
  version: z.literal(1),
  /** The loopback port that was free. */
  port: z.nullable(z.number()),
  lan: z.nullable(Lan),
  grants: z.array(Grant),
  sessions: z.array(Session),
});
type Content = z.infer<typeof Content>;

export interface AccessStore {
  /** Changed in place, then saved. */
  readonly content: Content;
  /** Resolves when everything up to now is on disk, or could not be, which is logged. */
  save(): Promise<void>;
}

/** Damaged or missing: nobody is logged in. */
export async function openStore(dir: string, log: Logger): Promise<AccessStore> {
  const file = stateFile({
    path: `${dir}/web.json`,
    schema: Content,
    empty: (): Content => ({ version: 1, port: null, lan: null, grants: [], sessions: [] }),
    what: "logins of the web page",
    unwritten: "they end with this daemon",
    log,
  });
  const content = await file.load();
  return { content, save: () => file.save(content) };
}
