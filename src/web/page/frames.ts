// SPDX-License-Identifier: Apache-2.0

/** Frames of `bureau.observe.v2` as this page needs them; their form is src/observe/api.ts's. */

export type Down =
  | { readonly kind: "output"; readonly offset: number; readonly bytes: Uint8Array }
  | {
    readonly kind: "snapshot";
    readonly offset: number;
    readonly cols: number;
    readonly rows: number;
    readonly bytes: Uint8Array;
  };

export interface Watcher {
  readonly id: string;
  readonly who: string;
  readonly mode: "readonly" | "readwrite";
}

export type Control =
  | {
    readonly type: "metadata";
    readonly stream: string;
    readonly offset: number;
    readonly cols: number;
    readonly rows: number;
    readonly mode: "readonly" | "readwrite";
    readonly watcher: string;
    readonly writer: string | null;
    readonly watchers: readonly Watcher[];
  }
  | { readonly type: "size"; readonly cols: number; readonly rows: number }
  | {
    readonly type: "mode";
    readonly mode: "readonly" | "readwrite";
    readonly writer: string | null;
    readonly reason: string;
  }
  | {
    readonly type: "watchers";
    readonly watchers: readonly Watcher[];
    readonly writer: string | null;
  }
  | { readonly type: "gap"; readonly lost_bytes: number | null; readonly reason: string }
  | { readonly type: "bell" }
  | { readonly type: "title"; readonly text: string }
  | { readonly type: "exit"; readonly reason: string };

export const PROTOCOL = "bureau.observe.v2";

/** @returns null for what this page has no use for */
export function decodeDown(data: ArrayBuffer): Down | null {
  const view = new DataView(data);
  const kind = data.byteLength > 0 ? view.getUint8(0) : 0;
  if (kind === 1 && data.byteLength >= 9) {
    return { kind: "output", offset: offsetOf(view), bytes: new Uint8Array(data, 9) };
  }
  if (kind === 2 && data.byteLength >= 13) {
    return {
      kind: "snapshot",
      offset: offsetOf(view),
      cols: view.getUint16(9),
      rows: view.getUint16(11),
      bytes: new Uint8Array(data, 13),
    };
  }
  return null;
}

const offsetOf = (view: DataView) => Number(view.getBigUint64(1));

export function encodeInput(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(text);
  const frame = new Uint8Array(bytes.length + 1);
  frame[0] = 3;
  frame.set(bytes, 1);
  return frame;
}

export function decodeControl(text: string): Control | null {
  try {
    const value = JSON.parse(text);
    return typeof value?.type === "string" ? value as Control : null;
  } catch {
    return null;
  }
}
