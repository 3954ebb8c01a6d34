// SPDX-License-Identifier: Apache-2.0

/**
 * Classic BPF as seccomp runs it (linux/filter.h, linux/seccomp.h, Documentation/networking/filter.rst):
 * a program is an array of 8-byte instructions over the 64 bytes of `struct seccomp_data`.
 */

/** One instruction before its jumps are resolved. */
export type Step =
  /** A ← 32 bits of seccomp_data at `offset`. */
  | { readonly op: "load"; readonly offset: number }
  /** A ← A & `mask`. */
  | { readonly op: "and"; readonly mask: number }
  /** Go to `then` or `otherwise`; null falls through. Labels lie ahead: classic BPF has no way back. */
  | {
    readonly op: "jump-if";
    readonly test: "equal" | "at-least";
    readonly value: number;
    readonly then: string | null;
    readonly otherwise: string | null;
  }
  | { readonly op: "label"; readonly name: string }
  | { readonly op: "return"; readonly value: number };

/** The kernel's own limit. */
export const MAX_INSTRUCTIONS = 4096;
const DATA_BYTES = 64;

const BPF = { LD_W_ABS: 0x20, AND_K: 0x54, JEQ_K: 0x15, JGE_K: 0x35, RET_K: 0x06 } as const;

/** What a filter may answer, weakest last (linux/seccomp.h). */
export const VERDICT = {
  killProcess: 0x8000_0000,
  errno: (errno: number) => (0x0005_0000 | errno) >>> 0,
  allow: 0x7fff_0000,
} as const;

export class BpfError extends Error {
  override readonly name = "BpfError";
}

/**
 * @returns the program as the kernel and bwrap's `--seccomp` read it, in little-endian
 * @throws {BpfError} on what the kernel would refuse, or run otherwise than written: an unknown label, a
 * jump that is too long or backwards, a load outside the data, code that nothing reaches, an end without
 * a return
 */
export function assemble(steps: readonly Step[]): Uint8Array<ArrayBuffer> {
  const labels = new Map<string, number>();
  const code: Exclude<Step, { op: "label" }>[] = [];
  for (const step of steps) {
    if (step.op !== "label") {
      code.push(step);
    } else if (labels.has(step.name)) {
      throw new BpfError(`label "${step.name}" stands twice`);
    } else labels.set(step.name, code.length);
  }
  if (code.length === 0 || code.length > MAX_INSTRUCTIONS) {
    throw new BpfError(`a program has 1 to ${MAX_INSTRUCTIONS} instructions, not ${code.length}`);
  }
  const bytes = new Uint8Array(code.length * 8);
  const view = new DataView(bytes.buffer);
  const reached = new Set([0]);
  for (const [at, step] of code.entries()) {
    if (!reached.has(at)) throw new BpfError(`nothing reaches instruction ${at}`);
    const put = (opcode: number, value: number, jumps: readonly [number, number] = [0, 0]) => {
      view.setUint16(at * 8, opcode, true);
      view.setUint8(at * 8 + 2, jumps[0]);
      view.setUint8(at * 8 + 3, jumps[1]);
      view.setUint32(at * 8 + 4, value, true);
    };
    const distance = (label: string | null): number => {
      const target = label === null ? at + 1 : labels.get(label);
      if (target === undefined) throw new BpfError(`there is no label "${label}"`);
      if (target >= code.length) throw new BpfError("a jump leads beyond the end");
      const offset = target - at - 1;
      if (offset < 0 || offset > 255) throw new BpfError(`label "${label}" is out of reach`);
      reached.add(target);
      return offset;
    };
    switch (step.op) {
      case "load":
        if (step.offset % 4 !== 0 || step.offset < 0 || step.offset > DATA_BYTES - 4) {
          throw new BpfError(`there is nothing to load at ${step.offset}`);
        }
        distance(null);
        put(BPF.LD_W_ABS, step.offset);
        break;
      case "and":
        distance(null);
        put(BPF.AND_K, word(step.mask));
        break;
      case "jump-if":
        put(step.test === "equal" ? BPF.JEQ_K : BPF.JGE_K, word(step.value), [
          distance(step.then),
          distance(step.otherwise),
        ]);
        break;
      case "return":
        put(BPF.RET_K, word(step.value));
    }
  }
  return bytes;
}

function word(value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new BpfError(`${value} is no 32-bit word`);
  }
  return value;
}

/** What a process asks for. */
export interface SyscallData {
  readonly nr: number;
  readonly arch: number;
  /** Six arguments of 64 bits. */
  readonly args: readonly bigint[];
}

/**
 * Runs a program as the kernel does, for tests.
 * @throws {BpfError} on an instruction that `assemble` never writes
 */
export function simulate(program: Uint8Array, { nr, arch, args }: SyscallData): number {
  const data = new DataView(new ArrayBuffer(DATA_BYTES));
  data.setUint32(0, nr >>> 0, true);
  data.setUint32(4, arch >>> 0, true);
  for (let index = 0; index < 6; index++) {
    data.setBigUint64(16 + index * 8, BigInt.asUintN(64, args[index] ?? 0n), true);
  }
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const value = view.getUint32(at * 8 + 4, true);
    const jump = (taken: boolean) => at += view.getUint8(at * 8 + (taken ? 2 : 3));
    switch (view.getUint16(at * 8, true)) {
      case BPF.LD_W_ABS:
        accumulator = data.getUint32(value, true);
        break;
      case BPF.AND_K:
        accumulator = (accumulator & value) >>> 0;
        break;
      case BPF.JEQ_K:
        jump(accumulator === value);
        break;
      case BPF.JGE_K:
        jump(accumulator >= value);
        break;
      case BPF.RET_K:
        return value;
      default:
        throw new BpfError(`unknown instruction at ${at}`);
    }
  }
  throw new BpfError("the program ran over its end");
}
