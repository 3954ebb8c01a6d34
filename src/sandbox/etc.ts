// SPDX-License-Identifier: Apache-2.0

/** A sandbox's /etc, made from nothing: no account, name server or machine id of the host is in it. */
import { SHOWN_ETC } from "./mounts.ts";
import type { SandboxPlan } from "./plan_parts.ts";

/** Empty directories on which the host's are bound. */
export const ETC_DIRECTORIES: readonly string[] = SHOWN_ETC.directories;

/** There is no machine-id: a program that wants one would know this machine again. */
export function etcFiles(
  { hostname, environment }: Pick<SandboxPlan, "hostname" | "environment">,
): [name: string, text: string][] {
  return [
    [
      "passwd",
      "agent:x:1000:1000:agent:/workspace:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
    ],
    ["group", "agent:x:1000:\nnogroup:x:65534:\n"],
    ["hosts", `127.0.0.1 localhost ${hostname}\n::1 localhost\n`],
    ["hostname", `${hostname}\n`],
    ["nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"],
    ["resolv.conf", "# There is no network here; see /run/bureau/proxy.sock.\n"],
    ["locale.conf", `LANG=${locale(environment["LANG"])}\n`],
    // Empty where the host has none: both are then as good as absent.
    ...SHOWN_ETC.files.map((name): [string, string] => [name, ""]),
  ];
}

function locale(name: string | undefined): string {
  return name !== undefined && /^[A-Za-z0-9_.@-]{1,64}$/.test(name) ? name : "C.UTF-8";
}
