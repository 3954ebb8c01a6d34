// SPDX-License-Identifier: Apache-2.0

/**
 * From a resolved template to an ordered, checked list of mounts. Pure but for what it is given to look at
 * the machine with: what may be bound is decided here, and nothing later adds to it.
 */
import { HOST_LABEL, type ResolvedSpec } from "../lib/template/mod.ts";
import { withBridge } from "./bridge.ts";
import { type DeviceNode, devicePatterns, planDevices } from "./devices.ts";
import { SandboxError } from "./errors.ts";
import { DIRECTORY_BYTES } from "./mounts.ts";
import type { PlannedMount, SandboxPlan } from "./plan_parts.ts";
import {
  checkCommand,
  checkDestination,
  checkPath,
  checkVariable,
  checkWord,
} from "./plan_paths.ts";
import { type BindRoot, identityOf, type Lstat, pinSource, remembered } from "./plan_sources.ts";
import { planProtection, protectedNames } from "./protected.ts";
import type { Profile } from "./seccomp/mod.ts";
import { planServices } from "./services.ts";
import { type ClosureReader, planSysroot } from "./sysroot.ts";

const MAX_TMPFS = 4 * 1024 * 1024 * 1024;
/** bwrap reads at most 9,000 words; a mount is five at most, a variable three. */
const MAX_MOUNTS = 1_000;
const MAX_VARIABLES = 500;
const MAX_ENVIRONMENT = 1024 * 1024;
/** Made by every sandbox: they must have a place in a passthrough's /run too. */
const CONTRACT = ["/run/bureau/agent", "/cell/etc", "/source/0"];

/** What else is known of the machine. A planner that isn't given one refuses what needs it. */
export interface MachineFacts {
  /** The policy's `devices`. */
  readonly allowedDevices?: readonly string[];
  /** The nodes that match these patterns. */
  readonly findDevices?: (patterns: readonly string[]) => Promise<readonly DeviceNode[]>;
  readonly readText?: ClosureReader["readText"];
  /** Told what `lstat` will be asked for, so that it can look at all of it at once. */
  readonly prefetch?: (paths: readonly string[]) => Promise<void>;
  /** The policy's `seccomp`. */
  readonly seccomp?: readonly string[];
  /** Whether the operator wrote down the exception for this principal. */
  readonly passthrough?: boolean;
  /** Host directory of Bureau's own programs, for a bridge. */
  readonly runtime?: string;
  /** Whether there is a daemon that brings services and their callers together. */
  readonly services?: boolean;
  /** Whether the contract will hold `ca-bundle.pem`. */
  readonly caBundle?: boolean;
  /** Entries of a host directory, empty when there is none. */
  readonly list?: (dir: string) => Promise<readonly string[]>;
}

/**
 * @param roots host directories below which the machine's policy allows binds
 * @throws {SandboxError} naming the mount and the rule
 */
export async function planSandbox(
  spec: ResolvedSpec,
  roots: readonly BindRoot[],
  lstat: Lstat,
  facts: MachineFacts = {},
): Promise<SandboxPlan> {
  const passthrough = spec.isolation === "none";
  if (passthrough && facts.passthrough !== true) {
    throw new SandboxError(
      "passthrough-refused",
      'Cannot plan isolation "none": this machine\'s policy makes no exception for the principal',
      {
        hint:
          "the operator names it in the launcher's policy file (passthrough), or gives isolation standard",
        status: 403,
      },
    );
  }
  const look = remembered(lstat);
  const names = protectedNames(spec.protected_paths);
  await facts.prefetch?.(pathsOf(spec, names));
  const asked = await planAsked(spec, roots, look);
  const protections = await Promise.all(
    // Where nothing is confined, nothing is protected either: the same files are in reach by their own names.
    passthrough
      ? []
      : asked.flatMap((mount) =>
        mount.kind === "bind" && mount.mode === "rw" ? [planProtection(mount, names, look)] : []
      ),
  );
  const mounts = orderMounts([...asked, ...protections.flatMap(({ mounts }) => mounts)]);
  const sysroot = await planSysroot(spec.sysroot, roots, look, {
    readText: async (path) => await facts.readText?.(path) ?? null,
    prefetch: async (paths) => await facts.prefetch?.(paths),
  });
  const patterns = devicePatterns(spec.devices);
  const devices = planDevices(
    spec.devices,
    facts.allowedDevices ?? [],
    patterns.length === 0 ? [] : await facts.findDevices?.(patterns) ?? [],
  );
  if (mounts.length + sysroot.mounts.length + devices.length > MAX_MOUNTS) {
    throw new SandboxError("too-many-mounts", `Cannot make more than ${MAX_MOUNTS} mounts`);
  }
  if (passthrough && (sysroot.kind !== "host" || devices.length > 0)) {
    throw new SandboxError(
      "passthrough-refused",
      'Cannot plan isolation "none" with a sysroot or devices: it has all of the host\'s',
      { hint: "take sysroot and devices out of the template" },
    );
  }
  const services = facts.services === true ? planServices(spec, passthrough) : null;
  const plan: SandboxPlan = {
    isolation: passthrough ? "none" : "standard",
    mounts,
    sysroot,
    devices,
    watched: protections.flatMap(({ watched }) => watched),
    opened: passthrough ? await openDirectories(mounts, facts.list) : [],
    hostname: planHostname(spec),
    seccomp: passthrough ? null : planSeccomp(spec, facts),
    environment: planEnvironment(spec),
    command: checkCommand(spec.command),
    ...(spec.resources.files === undefined ? {} : { files: spec.resources.files }),
    ...(services === null ? {} : { services }),
  };
  if (!spec.bridge) return plan;
  if (sysroot.kind === "nix") {
    // Bureau's runtime is a program of the host's kind: its loader is at a path that no store has.
    throw new SandboxError(
      "no-bridge",
      "Cannot plan a bridge in a Nix environment: Bureau's own programs don't run in one",
      {
        hint: "take bridge out of the template; curl --unix-socket and git reach the proxy without",
      },
    );
  }
  if (facts.runtime === undefined) {
    throw new SandboxError("no-bridge", "Cannot plan a bridge: there is no proxy to lead to", {
      hint: "take bridge out of the template, or run it with `bureau agent create`",
    });
  }
  const bridged = withBridge(plan, facts.runtime, facts.caBundle === true);
  return { ...bridged, mounts: orderMounts(bridged.mounts) };
}

function planSeccomp({ seccomp }: ResolvedSpec, facts: MachineFacts): Profile {
  if (seccomp === "nested-tools" && facts.seccomp?.includes(seccomp) !== true) {
    throw new SandboxError(
      "seccomp-refused",
      `Cannot plan seccomp "${seccomp}": this machine's policy does not allow it`,
      { hint: "the operator lists it in the launcher's policy file (seccomp)", status: 403 },
    );
  }
  return seccomp;
}

/** All that will be looked at, where that can be told before. */
function pathsOf(spec: ResolvedSpec, names: readonly (readonly string[])[]): string[] {
  const sources = spec.filesystem.map(({ source, mode }) => ({ source: source ?? "", mode }));
  if (spec.sysroot !== "host") {
    sources.push({
      source: "rootfs" in spec.sysroot ? spec.sysroot.rootfs : spec.sysroot.nix,
      mode: "ro",
    });
  }
  const paths = new Set<string>();
  const add = (path: string) => [path, ...ancestors(path)].forEach((each) => paths.add(each));
  for (const { source, mode } of sources) {
    if (!source.startsWith("/")) continue;
    const path = checkPath(source, "a source");
    add(path);
    if (mode === "rw") { for (const parts of names) add(`${path}/${parts.join("/")}`); }
  }
  return [...paths];
}

/** What the template itself asks for. */
async function planAsked(
  spec: ResolvedSpec,
  roots: readonly BindRoot[],
  lstat: Lstat,
): Promise<PlannedMount[]> {
  const mounts: PlannedMount[] = [];
  const scratch = scratchSize(spec);
  for (const mount of spec.filesystem) {
    const dest = checkDestination(mount.dest);
    if (mount.type === "tmpfs") {
      mounts.push({ kind: "tmpfs", dest, size: tmpfsSize(mount.options, dest, scratch) });
      continue;
    }
    const mode = mount.mode ?? "ro";
    const source = checkPath(mount.source ?? "", `the source of ${dest}`);
    const info = await pinSource(source, mode, roots, lstat, mount.optional === true);
    if (info === null) continue;
    const identity = identityOf(info);
    mounts.push({
      kind: "bind",
      source,
      dest,
      mode,
      ...(identity === undefined ? {} : { identity }),
    });
  }
  const taken = new Set(mounts.map((mount) => mount.dest));
  for (const dir of spec.create_dirs) {
    const dest = checkDestination(dir);
    if (!taken.has(dest)) {
      mounts.push({ kind: "dir", dest, ...(scratch === undefined ? {} : { size: scratch }) });
    }
    taken.add(dest);
  }
  return mounts;
}

/** In bytes; undefined where the template doesn't say. */
function scratchSize({ resources }: ResolvedSpec): number | undefined {
  if (resources.scratch_mb === undefined) return undefined;
  const size = resources.scratch_mb * 1024 * 1024;
  if (size > 0 && size <= MAX_TMPFS) return size;
  throw new SandboxError(
    "bad-option",
    `Cannot make scratch directories of ${resources.scratch_mb} MiB: scratch_mb is 1 to 4096`,
  );
}

function tmpfsSize(options: string | undefined, dest: string, usual = DIRECTORY_BYTES): number {
  if (options === undefined || options === "") return usual;
  const size = Number(/^size=(\d{1,12})$/.exec(options)?.[1] ?? NaN);
  if (!(size > 0 && size <= MAX_TMPFS)) {
    throw new SandboxError(
      "bad-option",
      `Cannot mount "${dest}": options must be size=<bytes>, at most 4 GiB`,
    );
  }
  return size;
}

/** One canonical order whatever the template's: by depth, then by name. */
function orderMounts(mounts: readonly PlannedMount[]): PlannedMount[] {
  const depth = new Map(mounts.map(({ dest }) => [dest, dest.split("/").length]));
  const ordered = mounts.toSorted((a, b) =>
    depth.get(a.dest)! - depth.get(b.dest)! || (a.dest < b.dest ? -1 : a.dest > b.dest ? 1 : 0)
  );
  const placed = new Map<string, PlannedMount>();
  for (const mount of ordered) {
    if (placed.has(mount.dest)) {
      throw new SandboxError("duplicate-destination", `Cannot mount "${mount.dest}" twice`);
    }
    placed.set(mount.dest, mount);
    // Ours, with every ancestor pinned; the start script sees that they came where they belong.
    if (isOurs(mount)) continue;
    for (const dest of ancestors(mount.dest)) {
      const above = placed.get(dest);
      // bwrap before 0.12 follows a link that the agent planted there (CVE-2026-87766).
      if (above?.kind === "bind" && (above.mode === "rw" || mount.kind !== "bind")) {
        throw new SandboxError(
          "beneath-bind",
          `Cannot mount "${mount.dest}": it lies beneath "${above.dest}", which is bound from the host`,
          { hint: "mount it beside, not beneath" },
        );
      }
    }
  }
  return ordered;
}

function isOurs(mount: PlannedMount): boolean {
  return mount.kind === "bind" && mount.why !== undefined && mount.why !== "bridge";
}

/** `/a/b/c` lies in `/a/b` and `/a`. */
function ancestors(path: string): string[] {
  const found: string[] = [];
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
    found.push(path.slice(0, end));
  }
  return found;
}

/** Directories of the host in which a passthrough's mounts get a place: nobody could make one there. */
async function openDirectories(
  mounts: readonly PlannedMount[],
  list: MachineFacts["list"],
): Promise<SandboxPlan["opened"]> {
  const bound = new Set(mounts.filter(({ kind }) => kind === "bind").map(({ dest }) => dest));
  const dirs = new Set(["/"]);
  for (const dest of [...CONTRACT, ...mounts.map(({ dest }) => dest)]) {
    for (const dir of ancestors(dest)) if (!bound.has(dir)) dirs.add(dir);
  }
  const opened = await Promise.all(
    [...dirs].toSorted().map(async (dir) => ({
      dir,
      names: (await list?.(dir) ?? []).filter((name) => {
        const path = dir === "/" ? `/${name}` : `${dir}/${name}`;
        return !dirs.has(path) && path !== "/proc" && !mounts.some(({ dest }) => dest === path);
      }).toSorted(),
    })),
  );
  for (const { dir, names } of opened) {
    for (const name of names) checkPath(`${dir}/${name}`, `an entry of ${dir}`);
  }
  return opened;
}

function planHostname(spec: ResolvedSpec): string {
  const hostname = spec.hostname ?? "sandbox";
  if (HOST_LABEL.test(hostname)) return hostname;
  throw new SandboxError(
    "bad-hostname",
    `Cannot use the host name ${
      JSON.stringify(hostname.slice(0, 80))
    }: it is not one label of a-z 0-9 -`,
  );
}

function planEnvironment(spec: ResolvedSpec): Record<string, string> {
  const environment = new Map<string, string>();
  for (const [name, value] of Object.entries(spec.environment_variables)) {
    environment.set(checkVariable(name), checkWord(value, `the value of ${name}`));
  }
  for (const [name, segments] of Object.entries(spec.prepend_variables)) {
    const after = environment.get(checkVariable(name)) ?? "";
    const value = [...segments, after].filter(Boolean).join(":");
    environment.set(name, checkWord(value, `the value of ${name}`));
  }
  if (!environment.has("TERM")) environment.set("TERM", "xterm-256color");
  const size = [...environment.values()].reduce((sum, value) => sum + value.length, 0);
  if (environment.size > MAX_VARIABLES || size > MAX_ENVIRONMENT) {
    throw new SandboxError(
      "bad-variable",
      `Cannot set more than ${MAX_VARIABLES} variables or ${MAX_ENVIRONMENT} characters of them`,
    );
  }
  return Object.fromEntries(environment);
}
