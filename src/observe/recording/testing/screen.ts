// SPDX-License-Identifier: Apache-2.0
import type { ScreenView } from "../../tap.ts";

/** A screen of which a test says what stands on it. */
export class FakeScreen implements ScreenView {
  size = { cols: 80, rows: 24 };
  drawn = "\x1b[H\x1b[2Jscreen";

  lines(): string[] {
    return [this.drawn];
  }

  cursor() {
    return { x: 0, y: 0, visible: true };
  }

  title(): string {
    return "";
  }

  alternate(): boolean {
    return false;
  }

  snapshot(): Uint8Array<ArrayBuffer> {
    return new TextEncoder().encode(this.drawn);
  }
}
