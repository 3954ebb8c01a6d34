// SPDX-License-Identifier: Apache-2.0

/** `notify:` of a machine's file: whom to tell when an agent needs a person. Secrets are in files that it names. */
import * as z from "zod/mini";
import { NOTIFY_STATES } from "./notify_target.ts";

/** What is told where a target does not say. */
export const NOTIFY_DEFAULT = ["failed", "waiting-approval", "waiting-input"] as const;
const MAX_TARGETS = 16;

export const QUIET_HOURS = /^([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/;

function isAddress(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && ["http:", "https:"].includes(url.protocol) && url.username === "" &&
    url.password === "" && url.hash === "";
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** What is sent in the clear may go to this machine only. */
function isPrivate(address: string): boolean {
  const url = URL.parse(address);
  return url !== null &&
    (url.protocol === "https:" || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname));
}

const text = (why: string, holds: (value: string) => boolean) =>
  z.optional(z.string(why).check(z.refine(holds, why)));
const address = text("takes an http(s) URL without a user name", isAddress);
const file = text("takes an absolute path", (value) => /^\/[^\n]*$/.test(value));
const names = (why: string) => z.optional(z.array(z.string(why), why).check(z.minLength(1, why)));

const FIELDS = [
  "name",
  "matrix",
  "webhook",
  "ntfy",
  "key_file",
  "token_file",
  "states",
  "agents",
  "templates",
  "rooms",
  "after_seconds",
  "quiet_hours",
  "time_zone",
  "include_text",
  "link",
];

const Target = z.strictObject({
  name: text("takes a name of a-z 0-9 -", (value) => /^[a-z0-9][a-z0-9-]{0,31}$/.test(value)),
  matrix: z.optional(z.literal(true, "takes true")),
  webhook: address,
  ntfy: text(
    "takes the URL of a topic",
    (value) => isAddress(value) && /^\/[A-Za-z0-9_-]{1,64}$/.test(new URL(value).pathname),
  ),
  key_file: file,
  token_file: file,
  states: z.optional(
    z.array(z.enum(NOTIFY_STATES, `takes some of ${NOTIFY_STATES.join(", ")}`), "takes a list")
      .check(z.minLength(1, "takes at least one")),
  ),
  agents: names("takes a list of names such as agent/*"),
  templates: names("takes a list of templates such as bureau/template:agent"),
  rooms: names("takes a list of room ids"),
  after_seconds: z.optional(
    z.int("takes whole seconds").check(z.minimum(0, "takes 0 to 86400"), z.maximum(86_400)),
  ),
  quiet_hours: text("takes HH:MM-HH:MM", (value) => QUIET_HOURS.test(value)),
  time_zone: text("takes a time zone such as Europe/Berlin", isTimeZone),
  include_text: z.optional(z.boolean("takes true or false")),
  link: text(
    "takes an http(s) URL, in which {agent} is the agent's name",
    (value) => isAddress(value.replaceAll("{agent}", "a").replace(/#.*$/, "")),
  ),
}, {
  error: (issue) =>
    issue.code === "unrecognized_keys"
      ? `there is no "${issue.keys[0]!.slice(0, 40)}" in a target; there are ${FIELDS.join(", ")}`
      : "takes a target: matrix, webhook or ntfy",
}).check(
  z.refine(
    ({ matrix, webhook, ntfy }) =>
      [matrix, webhook, ntfy].filter((one) => one !== undefined).length === 1,
    "each target has exactly one of matrix, webhook and ntfy",
  ),
  z.refine(
    ({ webhook, key_file }) => key_file === undefined || webhook !== undefined,
    "key_file belongs to a webhook",
  ),
  z.refine(
    ({ ntfy, token_file }) => token_file === undefined || (ntfy !== undefined && isPrivate(ntfy)),
    "token_file belongs to an ntfy topic with https, or on this machine",
  ),
);

export const NotifyTargets = z.array(Target, "takes a list of targets").check(
  z.maxLength(MAX_TARGETS, `takes at most ${MAX_TARGETS} targets`),
  z.refine(
    (targets) => new Set(namesOf(targets)).size === targets.length,
    "each target has a name of its own",
  ),
);
export type NotifyTargets = z.infer<typeof NotifyTargets>;

/** A target without a name is called what it is: `ntfy`, the second `ntfy-2`. */
export function namesOf(
  targets: readonly { name?: string | undefined; matrix?: unknown; webhook?: unknown }[],
): string[] {
  const count = new Map<string, number>();
  return targets.map((target) => {
    if (target.name !== undefined) return target.name;
    const kind = target.matrix ? "matrix" : target.webhook ? "webhook" : "ntfy";
    const nth = (count.get(kind) ?? 0) + 1;
    count.set(kind, nth);
    return nth === 1 ? kind : `${kind}-${nth}`;
  });
}
