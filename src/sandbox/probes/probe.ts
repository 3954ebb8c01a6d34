// SPDX-License-Identifier: Apache-2.0

/**
 * What a probe is: one property of the sandbox, tried from inside. A probe asks for what it must not get and
 * stops there: it writes into scratch directories, signals its own processes, and changes nothing else.
 */

/**
 * One thing that a sandbox is made of, as the tests take it away (`tests/escape/weaken.ts`).
 *
 * `readonly-*`, `own-*` and `no-*` are mounts; `limits` is the `prlimit` of the start script.
 */
export type Defence =
  | "seccomp"
  | "new-session"
  | "pty"
  | "no-nesting"
  | "no-capabilities"
  /** As `no-capabilities`, for a caller who is root: nothing is added, what it has is kept. */
  | "kept-capabilities"
  | "not-root"
  | "own-net"
  | "own-pid"
  | "own-ipc"
  | "own-uts"
  | "own-cgroup"
  | "clear-environment"
  | "own-proc"
  | "own-dev"
  | "own-shm"
  | "own-etc"
  | "readonly-root"
  | "readonly-dev"
  | "readonly-usr"
  | "readonly-contract"
  | "readonly-proxy"
  | "protected-paths"
  | "nothing-beneath"
  | "sized-tmpfs"
  | "limits"
  | "arguments-by-descriptor"
  | "clean-descriptors"
  | "bwrap-not-writable"
  | "bwrap-not-setuid"
  | "unbound";

/** How the tests make a probe observe the breach: the positive control. */
export interface Control {
  /**
   * Taken away together: the defence that the probe is about, and others that would stop it as well.
   * `"all"`: the probe runs outside of any sandbox, because what stops it can't be left out alone.
   */
  readonly without: readonly Defence[] | "all";
  /** Paths in the sandbox at which the control shows it something of the host, made by the test. */
  readonly expose?: readonly { readonly path: string; readonly kind: "socket" | "file" }[];
  /** The control needs a caller who is root: another can't do it even without the defence. */
  readonly needs?: "root";
}

export interface Probe {
  /** Kebab case; the name of its file. */
  readonly id: string;
  /** What an agent can't do, as a sentence that goes on from "An agent can't". */
  readonly title: string;
  /** What stops it. */
  readonly defence: string;
  readonly language: "sh" | "perl";
  /** Body; `held`, `breached` and `absent` of the prelude say what was found and end it. */
  readonly script: string;
  readonly control: Control;
  /** It takes what a live agent beside it would miss, so it is tried in fresh sandboxes only. */
  readonly disturbs?: true;
}

/** As a probe says it on stdout: one line of JSON. */
/** `failed`: it came to no verdict, so nothing is known. */
export type Verdict = "held" | "breached" | "not-applicable" | "failed";

export interface ProbeResult {
  readonly id: string;
  readonly verdict: Verdict;
  readonly note: string;
}

/** Keeps the declaration's literal types. */
export function defineProbe(probe: Probe): Probe {
  return probe;
}
