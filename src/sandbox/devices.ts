// SPDX-License-Identifier: Apache-2.0

/** Names of devices as exact nodes. Nothing is bound that isn't a character device which the policy allows. */
import { DEVICE_NAME } from "../lib/template/mod.ts";
import { SandboxError } from "./errors.ts";
import type { PlannedDevice } from "./plan_parts.ts";

/** A path below /dev, as lstat sees it. */
export interface DeviceNode {
  readonly path: string;
  readonly kind: "character" | "block" | "link" | "other";
  readonly identity?: string;
}

/** A group: where to look, and which of those nodes are in it. */
const GROUPS: Readonly<Record<string, { readonly glob: string; readonly member: RegExp }>> = {
  // Render nodes compute and draw off screen; card nodes set the mode of the machine's own screen.
  dri: { glob: "/dev/dri/renderD*", member: /^\/dev\/dri\/renderD\d+$/ },
  nvidia: { glob: "/dev/nvidia*", member: /^\/dev\/nvidia(\d+|ctl|-uvm|-uvm-tools)$/ },
  kvm: { glob: "/dev/kvm", member: /^\/dev\/kvm$/ },
};
/** The machine's memory, terminals, keyboards and screens: no policy opens these. */
const REFUSED =
  /^\/dev\/(mem|kmem|port|kmsg|console|ptmx|uinput|snapshot|(tty|vcs|hvc|card)[^/]*|(pts|input|shm|mqueue|mapper)(\/.*)?|dri\/card.*|loop-control|btrfs-control)$/;

const bare = (name: string) => name.replace(/\?$/, "");
const isOptional = (name: string) => name.endsWith("?");

/**
 * Where to look for what is wanted.
 *
 * @throws {SandboxError} `bad-device` before anything is looked at
 */
export function devicePatterns(wanted: readonly string[]): string[] {
  return [
    ...new Set(wanted.map((name) => {
      const path = bare(name);
      const parts = path.split("/");
      if (
        !DEVICE_NAME.test(name) || path.length > 255 || parts.slice(1).includes("") ||
        parts.includes("..") || parts.includes(".") || REFUSED.test(path)
      ) {
        throw new SandboxError(
          "bad-device",
          `Cannot bind the device ${JSON.stringify(name.slice(0, 80))}: ${
            REFUSED.test(path)
              ? "it reaches the machine itself or its terminals"
              : "it is not dri, nvidia, kvm or a path below /dev"
          }`,
        );
      }
      return Object.hasOwn(GROUPS, path) ? GROUPS[path]!.glob : path;
    })),
  ];
}

/**
 * @param allowed of the policy: names of groups and paths
 * @param nodes what was found for `devicePatterns(wanted)`
 * @returns each node once, by path
 * @throws {SandboxError} `bad-device`, `device-not-allowed`, `missing-device`
 */
export function planDevices(
  wanted: readonly string[],
  allowed: readonly string[],
  nodes: readonly DeviceNode[],
): PlannedDevice[] {
  devicePatterns(wanted);
  const planned = new Map<string, PlannedDevice>();
  for (const name of wanted) {
    const path = bare(name);
    const member = Object.hasOwn(GROUPS, path) ? GROUPS[path]!.member : null;
    if (!mayAsk(path, allowed)) {
      throw new SandboxError(
        "device-not-allowed",
        `Cannot bind the device "${path}": this machine's policy doesn't allow it`,
        { hint: "the operator lists it in the launcher's policy file (devices)", status: 403 },
      );
    }
    const found = nodes.filter((node) =>
      member === null ? node.path === path : member.test(node.path)
    )
      .filter((node) => isAllowed(node.path, allowed));
    if (found.length === 0 && !isOptional(name)) {
      throw new SandboxError(
        "missing-device",
        `Cannot bind the device "${path}": this machine has no such node`,
        { hint: `load its driver, or write "${path}?" in the template where it may be missing` },
      );
    }
    for (const { path, kind, identity } of found) {
      if (kind !== "character") {
        throw new SandboxError(
          "bad-device",
          `Cannot bind the device "${path}": it is no character device`,
        );
      }
      planned.set(path, { path, ...(identity === undefined ? {} : { identity }) });
    }
  }
  return [...planned.values()].toSorted((a, b) => a.path < b.path ? -1 : 1);
}

/** A group may be asked for when one node of it is allowed. */
function mayAsk(name: string, allowed: readonly string[]): boolean {
  if (!Object.hasOwn(GROUPS, name)) return isAllowed(name, allowed);
  return allowed.some((entry) => entry === name || GROUPS[name]!.member.test(entry));
}

function isAllowed(path: string, allowed: readonly string[]): boolean {
  return allowed.some((entry) =>
    entry === path || (Object.hasOwn(GROUPS, entry) && GROUPS[entry]!.member.test(path))
  );
}
