// SPDX-License-Identifier: Apache-2.0

/** What listens inside the relay: the recorder, and what tells whether somebody is needed. */
import type { Size } from "./frames.ts";

/** The relay's model of the terminal, as it is after the part that was told last. */
export interface ScreenView {
  readonly size: Size;
  /** The lines without attributes and without blanks at their ends. Hostile. */
  lines(): string[];
  cursor(): { readonly x: number; readonly y: number; readonly visible: boolean };
  /** As the program set it, on one line, harmless to show. */
  title(): string;
  /** Whether the program in the session uses the alternate screen. */
  alternate(): boolean;
  /** Terminal bytes that draw the whole screen from any state. */
  snapshot(): Uint8Array<ArrayBuffer>;
}

export interface StreamTap {
  /** Each part once, in order, neutralised. `at`: ms since the epoch. Returns at once; copies what it keeps. */
  output(part: { readonly offset: number; readonly at: number; readonly bytes: Uint8Array }): void;
  resize(size: Size, at: number): void;
  bell?(at: number): void;
  title?(text: string, at: number): void;
  /** A watcher's key went to the session; what it was is not told. */
  typed?(at: number): void;
  /** A person came, left, or took or let go of the keyboard. */
  watched?(
    change: { readonly what: "came" | "left" | "types" | "released"; readonly who: string },
    at: number,
  ): void;
  /** The program or the server ended, or the relay stops. Awaited, at most 5 s. */
  ended(reason: string, at: number): Promise<void> | void;
}

/** Makes a tap for one life of the relay. */
export type MakeTap = (screen: ScreenView) => StreamTap;
