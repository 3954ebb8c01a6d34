// SPDX-License-Identifier: Apache-2.0

/** A place for control groups below the test's own, as `up` would make it for the launcher. */
import type { CgroupPlace } from "../api.ts";

const ROOT = "/sys/fs/cgroup";
const CONTROLLERS = ["memory", "pids", "cpu", "cpuacct", "freezer", "blkio"];

export interface TestPlace {
  readonly place: CgroupPlace;
  /** Fails when a group is left in it. */
  readonly close: () => Promise<void>;
}

/** @returns why there is none, where this user or machine can have none */
export async function makePlace(
  owner: { readonly uid: number; readonly gid: number },
): Promise<TestPlace | string> {
  if (Deno.uid() !== 0) return "only root may make control groups";
  const own = await ownGroups();
  const name = `bureau-test-${crypto.randomUUID().slice(0, 8)}`;
  const dirs: Record<string, string> = {};
  for (const controller of CONTROLLERS) {
    const group = own.get(controller);
    if (group === undefined) continue;
    const dir = `${ROOT}/${controller}${group === "/" ? "" : group}/${name}`;
    try {
      // cpu and cpuacct are often one hierarchy.
      await Deno.mkdir(dir).catch((thrown) => {
        if (!(thrown instanceof Deno.errors.AlreadyExists)) throw thrown;
      });
      await Deno.chown(dir, owner.uid, owner.gid);
      dirs[controller] = dir;
    } catch (thrown) {
      await removeAll(dirs);
      return `cannot make a control group: ${thrown}`;
    }
  }
  if (dirs["memory"] === undefined || dirs["pids"] === undefined) {
    await removeAll(dirs);
    return "this machine has no version 1 control groups for memory and pids";
  }
  return { place: { version: 1, dirs }, close: () => removeAll(dirs) };
}

async function ownGroups(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const line of (await Deno.readTextFile("/proc/self/cgroup")).split("\n")) {
    const [, names, path] = line.split(":");
    for (const name of names?.split(",") ?? []) if (name !== "") found.set(name, path!);
  }
  return found;
}

async function removeAll(dirs: Readonly<Record<string, string>>): Promise<void> {
  for (const dir of new Set(Object.values(dirs))) {
    await Deno.remove(dir).catch((thrown) => {
      if (!(thrown instanceof Deno.errors.NotFound)) throw thrown;
    });
  }
}
