// SPDX-License-Identifier: Apache-2.0

/** `config init`, `config check` and `config show`: the machine's file and environment. */
import {
  ConfigError,
  configPath,
  configTemplate,
  type NotifyTargets,
  readConfigFile,
  readNotify,
  readSecretFile,
  readSettings,
  settingNames,
  SETTINGS,
  type Settings,
} from "../../lib/config/mod.ts";
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import { writeIfDifferent } from "../files.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { Ended, Exit } from "../framework/exit.ts";
import { table } from "../framework/table.ts";
import type * as results from "./results.ts";

function settingsOf(call: Invocation): Settings {
  const path = configPath(call.stateDir);
  const text = readConfigFile(path);
  const variables = (call.flags["env"] as readonly string[] | undefined) ?? [];
  return readSettings({
    file: text === null ? null : { path, text },
    environment: Object.fromEntries(variables.map((one) => {
      const at = one.indexOf("=");
      return [one.slice(0, at), one.slice(at + 1)];
    })),
    stateDir: call.stateDir,
  });
}

/** With a look at the secrets that it names. */
function notifyOf(call: Invocation): NotifyTargets {
  const path = configPath(call.stateDir);
  const text = readConfigFile(path);
  if (text === null) return [];
  const targets = readNotify({ file: { path, text }, stateDir: call.stateDir });
  for (const { key_file: key, token_file: token } of targets) {
    const secret = key ?? token;
    if (secret !== undefined) readSecretFile(secret, "notify");
  }
  return targets;
}

export const init: CommandHandler<typeof results.init> = async (call) => {
  const path = configPath(call.stateDir);
  const there = readConfigFile(path) !== null;
  if (!there) await writeIfDifferent(path, configTemplate());
  call.print(
    there ? `${path} is there, and stays as it is` : `${path}: edit it, then: bureau config check`,
  );
  return { path, written: !there };
};

export const check: CommandHandler<typeof results.check> = (call) => {
  const path = configPath(call.stateDir);
  try {
    const settings = settingsOf(call);
    const targets = notifyOf(call);
    const count = Object.keys(settings).length + Math.min(1, targets.length);
    call.print(`${path}: ${count === 0 ? "nothing is set" : `${count} set, and no mistake`}`);
    return Promise.resolve({ path, problems: [] });
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    for (const { where, setting, message } of thrown.problems) {
      call.print(neutraliseLine(`${where}: ${setting === "" ? "" : `${setting}: `}${message}`));
    }
    return Promise.resolve(new Ended({ path, problems: thrown.problems }, Exit.failed));
  }
};

export const show: CommandHandler<typeof results.show> = (call) => {
  const settings = settingsOf(call);
  const rows = settingNames.map((name) => {
    const setting = settings[name];
    return setting === undefined
      ? { setting: name, value: SETTINGS[name].default, from: "default" }
      : { setting: name, value: String(setting.value), from: setting.from };
  });
  const cells = rows.map(({ setting, value, from }) => [setting, neutraliseLine(value), from]);
  for (const line of table(["SETTING", "VALUE", "FROM"], cells)) call.print(line);
  return Promise.resolve({ path: configPath(call.stateDir), settings: rows });
};
