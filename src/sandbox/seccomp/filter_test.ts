// SPDX-License-Identifier: Apache-2.0

/** Every program, run in a simulator of classic BPF. `tests/escape` tries the same on the real kernel. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { assemble, BpfError, MAX_INSTRUCTIONS, simulate, type Step, VERDICT } from "./bpf.ts";
import { NAMESPACE_FLAGS, type Profile, PROFILES, seccompProgram } from "./filter.ts";
import {
  AUDIT_ARCH,
  GAP,
  LAST_KNOWN,
  type Machine,
  type Syscall,
  SYSCALLS,
  X32_BIT,
} from "./syscalls.ts";

const MACHINES: readonly Machine[] = ["x86_64", "aarch64"];
const EPERM = VERDICT.errno(1);
const ENOSYS = VERDICT.errno(38);
const EAFNOSUPPORT = VERDICT.errno(97);

function verdict(
  machine: Machine,
  profile: Profile,
  call: Syscall | number,
  args: readonly (number | bigint)[] = [],
): number | null {
  const nr = typeof call === "number" ? call : SYSCALLS[call][machine];
  if (nr === null) return null;
  return simulate(seccompProgram(machine, profile), {
    nr,
    arch: AUDIT_ARCH[machine],
    args: args.map(BigInt),
  });
}

/** [call, arguments, verdict in `default`, and where it differs]. */
const TABLE: readonly [Syscall, (number | bigint)[], number, Partial<Record<Profile, number>>][] = [
  ["ioctl", [0, 0x5401], VERDICT.allow, {}],
  ["ioctl", [0, 0x5412], EPERM, {}],
  // The kernel takes the command as 32 bits: what stands above them hides nothing.
  ["ioctl", [0, 0xffff_ffff_0000_5412n], EPERM, {}],
  ["ioctl", [0, 0x1_0000_541cn], EPERM, {}],
  ["keyctl", [0], EPERM, {}],
  ["bpf", [0], EPERM, {}],
  ["perf_event_open", [], EPERM, {}],
  ["userfaultfd", [], EPERM, {}],
  ["io_uring_setup", [], ENOSYS, {}],
  ["mount", [], EPERM, { cell: VERDICT.allow }],
  ["move_mount", [], EPERM, { cell: VERDICT.allow }],
  ["pivot_root", [], EPERM, { cell: VERDICT.allow }],
  ["setns", [], EPERM, { cell: VERDICT.allow }],
  ["ptrace", [0], EPERM, { "nested-tools": VERDICT.allow }],
  ["process_vm_readv", [], EPERM, { "nested-tools": VERDICT.allow }],
  // fork() of glibc: CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD.
  ["clone", [0x0120_0011], VERDICT.allow, {}],
  // A thread.
  ["clone", [0x003d_0f00], VERDICT.allow, {}],
  ["clone", [0x1000_0011], EPERM, { cell: VERDICT.allow }],
  ["clone", [0x0002_0000], EPERM, { cell: VERDICT.allow }],
  ["clone3", [], ENOSYS, { cell: VERDICT.allow }],
  ["unshare", [0x400], VERDICT.allow, {}],
  ["unshare", [0x1000_0000], EPERM, { cell: VERDICT.allow }],
  ["unshare", [0x80], EPERM, { cell: VERDICT.allow }],
  ["socket", [1, 1, 0], VERDICT.allow, {}],
  ["socket", [2, 1, 0], VERDICT.allow, { networkless: EAFNOSUPPORT }],
  ["socket", [10, 1, 0], VERDICT.allow, { networkless: EAFNOSUPPORT }],
  ["socket", [16, 3, 0], VERDICT.allow, {}],
  ["socket", [16, 3, 9], EAFNOSUPPORT, {}],
  ["socket", [17, 3, 0], EAFNOSUPPORT, {}],
  ["socket", [38, 5, 0], EAFNOSUPPORT, {}],
  ["socket", [40, 1, 0], EAFNOSUPPORT, {}],
  ["socket", [0x1_0000_0028n, 1, 0], EAFNOSUPPORT, {}],
  ["socketpair", [1, 1, 0], VERDICT.allow, {}],
  ["socketpair", [30, 1, 0], EAFNOSUPPORT, {}],
  ["personality", [0xffff_ffff], VERDICT.allow, {}],
  ["personality", [0x4_0000], EPERM, { "nested-tools": VERDICT.allow }],
  ["personality", [0x40_0000], EPERM, {}],
  ["modify_ldt", [], EPERM, {}],
  ["uselib", [], ENOSYS, {}],
];

Deno.test("every profile on every machine answers as its table says", () => {
  for (const machine of MACHINES) {
    for (const profile of PROFILES) {
      for (const [call, args, inDefault, differing] of TABLE) {
        const seen = verdict(machine, profile, call, args);
        if (seen === null) continue;
        const what = `${machine} ${profile} ${call}(${args})`;
        assert.equal(seen, differing[profile] ?? inDefault, what);
      }
    }
  }
});

Deno.test("another architecture kills, and what is newer than the list is not there", () => {
  for (const machine of MACHINES) {
    for (const profile of PROFILES) {
      const program = seccompProgram(machine, profile);
      const run = (nr: number, arch = AUDIT_ARCH[machine]) =>
        simulate(program, { nr, arch, args: [] });
      // AUDIT_ARCH_I386 and AUDIT_ARCH_ARM.
      for (const arch of [0x4000_0003, 0x4000_0028, 0]) {
        assert.equal(run(0, arch), VERDICT.killProcess);
      }
      for (const nr of [LAST_KNOWN + 1, 600, X32_BIT, X32_BIT | 16, -1, GAP[machine].from, 423]) {
        assert.equal(run(nr), ENOSYS, `${machine} ${nr}`);
      }
      // read, write, openat and the newest that is known.
      const plain = machine === "x86_64" ? [0, 1, 257] : [63, 64, 56];
      for (const nr of [...plain, 424, LAST_KNOWN]) assert.equal(run(nr), VERDICT.allow, `${nr}`);
    }
  }
});

Deno.test("no argument makes a refused call pass, and no call goes without a verdict", () => {
  const word = fc.oneof(fc.bigInt(0n, 2n ** 64n - 1n), fc.bigInt(0n, 0xffffn));
  const refused = (Object.keys(SYSCALLS) as Syscall[]).filter((call) =>
    !["ioctl", "clone", "unshare", "socket", "socketpair", "personality"].includes(call)
  );
  const programs = new Map(
    MACHINES.flatMap((machine) =>
      PROFILES.map((profile) =>
        [`${machine} ${profile}`, seccompProgram(machine, profile)] as const
      )
    ),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...MACHINES),
      fc.constantFrom(...PROFILES),
      fc.oneof(fc.integer({ min: -1, max: 700 }), fc.integer()),
      fc.array(word, { minLength: 6, maxLength: 6 }),
      (machine, profile, nr, args) => {
        const program = programs.get(`${machine} ${profile}`)!;
        const seen = simulate(program, { nr, arch: AUDIT_ARCH[machine], args });
        assert.ok([VERDICT.allow, EPERM, ENOSYS, EAFNOSUPPORT].includes(seen));
        if (profile !== "default" && profile !== "networkless") return;
        const name = refused.find((call) => SYSCALLS[call][machine] === nr);
        if (name !== undefined) assert.notEqual(seen, VERDICT.allow, name);
        if (nr === SYSCALLS.clone[machine] && (args[0]! & BigInt(NAMESPACE_FLAGS)) !== 0n) {
          assert.equal(seen, EPERM);
        }
      },
    ),
    { numRuns: 5000 },
  );
});

Deno.test("assemble() refuses what the kernel would refuse or run otherwise than written", () => {
  const end: Step = { op: "return", value: VERDICT.allow };
  const jump = (then: string): Step => ({
    op: "jump-if",
    test: "equal",
    value: 1,
    then,
    otherwise: null,
  });
  const label = (name: string): Step => ({ op: "label", name });
  const load: Step = { op: "load", offset: 0 };
  for (
    const [steps, pattern] of [
      [[], /1 to 4096/],
      [Array(MAX_INSTRUCTIONS + 1).fill(end), /1 to 4096/],
      [[end, end], /nothing reaches/],
      [[load], /beyond the end/],
      [[jump("nowhere"), end], /no label/],
      [[label("a"), jump("a"), end], /out of reach/],
      [[jump("far"), ...Array(300).fill(load), label("far"), end], /out of reach/],
      [[label("a"), label("a"), end], /stands twice/],
      [[{ op: "load", offset: 64 }, end], /nothing to load/],
      [[{ op: "load", offset: 2 }, end], /nothing to load/],
      [[{ op: "and", mask: -1 }, end], /32-bit/],
    ] as const
  ) {
    assert.throws(
      () => assemble(steps as Step[]),
      (thrown) => thrown instanceof BpfError && pattern.test(thrown.message),
    );
  }
});
