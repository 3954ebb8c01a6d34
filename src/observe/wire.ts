// SPDX-License-Identifier: Apache-2.0

/** The binary frames of `bureau.observe.v2`: a byte that says the kind, big-endian numbers, bytes. */

export const FrameKind = { output: 1, snapshot: 2, input: 3, history: 4 } as const;

export type BinaryFrame =
  /** The stream from `offset` on. */
  | { readonly kind: "output"; readonly offset: number; readonly bytes: Uint8Array<ArrayBuffer> }
  /** Draws the whole screen as of `offset`, from whatever state the terminal is in. */
  | {
    readonly kind: "snapshot";
    readonly offset: number;
    readonly cols: number;
    readonly rows: number;
    readonly bytes: Uint8Array<ArrayBuffer>;
  }
  | { readonly kind: "input"; readonly bytes: Uint8Array<ArrayBuffer> }
  /** As `output`, with when it was: milliseconds since the epoch. */
  | {
    readonly kind: "history";
    readonly offset: number;
    readonly at: number;
    readonly bytes: Uint8Array<ArrayBuffer>;
  };

const HEAD = { output: 9, snapshot: 13, input: 1, history: 17 } as const;

export function encodeFrame(
  frame: { readonly [Kind in BinaryFrame as Kind["kind"]]: Loose<Kind> }[BinaryFrame["kind"]],
): Uint8Array<ArrayBuffer> {
  const head = HEAD[frame.kind];
  const out = new Uint8Array(head + frame.bytes.length);
  const view = new DataView(out.buffer);
  out[0] = FrameKind[frame.kind];
  if (frame.kind !== "input") view.setBigUint64(1, BigInt(frame.offset));
  if (frame.kind === "snapshot") {
    view.setUint16(9, frame.cols);
    view.setUint16(11, frame.rows);
  }
  if (frame.kind === "history") view.setFloat64(9, frame.at);
  out.set(frame.bytes, head);
  return out;
}

type Loose<Frame> = Omit<Frame, "bytes"> & { readonly bytes: Uint8Array };

/** @returns null for what is none of these frames: it is ignored */
export function decodeFrame(data: ArrayBuffer | Uint8Array<ArrayBuffer>): BinaryFrame | null {
  const all = data instanceof Uint8Array ? data : new Uint8Array(data);
  const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
  const kind = KINDS[all[0] ?? 0];
  if (kind === undefined || all.length < HEAD[kind]) return null;
  const bytes = all.subarray(HEAD[kind]);
  if (kind === "input") return { kind, bytes };
  const offset = Number(view.getBigUint64(1));
  if (!Number.isSafeInteger(offset)) return null;
  switch (kind) {
    case "output":
      return { kind, offset, bytes };
    case "snapshot": {
      const [cols, rows] = [view.getUint16(9), view.getUint16(11)];
      return cols < 1 || rows < 1 ? null : { kind, offset, cols, rows, bytes };
    }
    case "history": {
      const at = view.getFloat64(9);
      return Number.isFinite(at) ? { kind, offset, at, bytes } : null;
    }
  }
}

const KINDS: readonly (BinaryFrame["kind"] | undefined)[] = [
  undefined,
  "output",
  "snapshot",
  "input",
  "history",
];
