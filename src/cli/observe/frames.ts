// SPDX-License-Identifier: Apache-2.0
import * as z from "zod/mini";
import { ObserveDown } from "../../observe/api.ts";

/** A control frame; null for output, and for what a newer release may say besides. */
export function readControl(data: unknown): ObserveDown | null {
  if (typeof data !== "string") return null;
  try {
    const parsed = z.safeParse(ObserveDown, JSON.parse(data));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
