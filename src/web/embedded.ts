// SPDX-License-Identifier: Apache-2.0
import type { PageFiles } from "./serve.ts";

/** tasks/bundle.ts puts the built page in this text's place: the process reads no file. */
const EMBEDDED = "@@BUREAU_PAGE@@";

/** @throws Error outside a build */
export function embeddedPage(): PageFiles {
  if (!EMBEDDED.startsWith("{")) throw new Error("Cannot serve the page: this is no build of it");
  return JSON.parse(EMBEDDED) as PageFiles;
}
