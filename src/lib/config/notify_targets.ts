// SPDX-License-Identifier: Apache-2.0

/** `notify` of the machine's file as the daemon gets it: with the secrets that it names. */
import { configPath, readConfigFile } from "./file.ts";
import { readNotify } from "./machine.ts";
import { namesOf, NOTIFY_DEFAULT } from "./notify.ts";
import type { NotifyTarget } from "./notify_target.ts";
import { readSecretFile } from "./secret_file.ts";

const AFTER_SECONDS = 20;

/** @throws {ConfigError} naming what is wrong with the file, or with a secret's */
export function notifyTargets(stateDir: string): NotifyTarget[] {
  const path = configPath(stateDir);
  const text = readConfigFile(path);
  if (text === null) return [];
  const targets = readNotify({ file: { path, text }, stateDir });
  const names = namesOf(targets);
  return targets.map((target, at) => {
    const { matrix, webhook, ntfy, key_file: key, token_file: token } = target;
    const secret = key ?? token;
    const url = webhook ?? ntfy;
    const optional = {
      url,
      secret: secret === undefined ? undefined : readSecretFile(secret, "notify"),
      agents: target.agents,
      templates: target.templates,
      rooms: target.rooms,
      quiet_hours: target.quiet_hours,
      time_zone: target.time_zone,
      link: target.link,
    };
    return {
      name: names[at]!,
      kind: matrix ? "matrix" : webhook !== undefined ? "webhook" : "ntfy",
      states: [...target.states ?? NOTIFY_DEFAULT],
      after_ms: (target.after_seconds ?? AFTER_SECONDS) * 1_000,
      include_text: target.include_text ?? false,
      ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    };
  });
}
