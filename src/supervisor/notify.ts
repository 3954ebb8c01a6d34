// SPDX-License-Identifier: Apache-2.0

/** `notify` of the machine's file as the daemon gets it: with the secrets that it names. */
import {
  configPath,
  namesOf,
  NOTIFY_DEFAULT,
  type NotifyTarget,
  readConfigFile,
  readNotify,
  readSecretFile,
} from "../lib/config/mod.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";

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

/**
 * For each start of the daemon: the file may be another by then. One that can't be used while Bureau runs changes nothing.
 * @returns what gives the targets; only its first call throws
 */
export function notifySource(stateDir: string, log: Logger): () => NotifyTarget[] {
  let last: NotifyTarget[] | null = null;
  return () => {
    try {
      return last = notifyTargets(stateDir);
    } catch (thrown) {
      if (last === null) throw thrown;
      log.error("notify: the file is not used as it is now", { why: messageOf(thrown) });
      return last;
    }
  };
}
