// SPDX-License-Identifier: Apache-2.0

/** `config daemon`: what `up` tells its daemon, for one that systemd starts. */
import * as z from "zod/mini";
import type { DaemonBootstrap } from "../../daemon/api.ts";
import {
  configPath,
  notifyTargets,
  readConfigFile,
  readMetricsPlace,
  readPeer,
  readSettings,
} from "../../lib/config/mod.ts";
import { readJson } from "../files.ts";
import type { CommandHandler } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";

const Policy = z.object({ operator_keys: z.array(z.string()) });

type Settings = Pick<DaemonBootstrap, "web" | "notify" | "peer" | "metrics" | "operator_keys">;

export const daemon: CommandHandler = async (call) => {
  const { stateDir, runDir } = call;
  const path = configPath(stateDir);
  const text = readConfigFile(path);
  const sources = { file: text === null ? null : { path, text }, stateDir };
  const policyPath = `${stateDir}/operator/policy.json`;
  const policy = z.safeParse(Policy, await readJson(policyPath));
  if (!policy.success) {
    throw new CliError("no-policy", `Cannot read the policy "${policyPath}"`, {
      hint: "a first boot writes it: deno task up",
    });
  }
  const settings = readSettings(sources);
  const [, hostname, port] = /^(.+):(\d+)$/.exec(String(settings.web?.value ?? "")) ?? [];
  const origin = settings.web_origin?.value;
  const peer = readPeer(sources);
  const metrics = readMetricsPlace(sources);
  const document: Settings = {
    web: {
      socket: `${runDir}/web/web.sock`,
      listen: hostname === undefined
        ? null
        : { hostname: hostname.replace(/^\[|\]$/g, ""), port: Number(port) },
      origins: origin === undefined ? [] : [new URL(String(origin)).origin],
    },
    notify: notifyTargets(stateDir),
    operator_keys: policy.data.operator_keys,
    ...(metrics === null ? {} : { metrics: { ...metrics, listen: { ...metrics.listen } } }),
    ...(peer === null
      ? {}
      : { peer: { listen: { ...peer.listen }, addresses: [...peer.addresses] } }),
  };
  if (!call.json) call.print(JSON.stringify(document));
  return document;
};
