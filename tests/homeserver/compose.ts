// SPDX-License-Identifier: Apache-2.0
import type { Started, Unavailable } from "./provider.ts";
export function openCompose(): Promise<Started | Unavailable> {
  return Promise.resolve({ reason: "not yet" });
}
