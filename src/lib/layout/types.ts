// SPDX-License-Identifier: Apache-2.0
import type { Layout } from "../schema/mod.ts";

export type { Layout };
export type Window = Layout["windows"][number];
export type Pane = Window["panes"][number];
export type Split = "horizontal" | "vertical";

/** What a pane shows, without where it stands. */
export interface Shown {
  readonly observe?: string | undefined;
  readonly command?: string | undefined;
  readonly role?: string | undefined;
}

/** The same for two panes that show the same. */
export function shownKey({ observe, command, role }: Shown): string {
  return JSON.stringify([observe ?? null, command ?? null, role ?? null]);
}

export function shownOf(
  { observe, command, role }: Shown,
): { observe?: string; command?: string; role?: string } {
  return {
    ...(observe === undefined ? {} : { observe }),
    ...(command === undefined ? {} : { command }),
    ...(role === undefined ? {} : { role }),
  };
}
