// SPDX-License-Identifier: Apache-2.0

/** The web page: its script as one file, and everything of it put into the process that serves it. */
import { bundleFile, inAscii } from "./bundle_role.ts";
import type { PageFiles } from "../src/web/serve.ts";

const PLACE = '"@@BUREAU_PAGE@@"';

/** @param work a directory for what comes in between */
export async function buildPage(work: string): Promise<PageFiles> {
  await bundleFile("src/web/page/main.ts", `${work}/page.js`, [
    "--minify",
    "--platform",
    "browser",
  ]);
  const { index, style } = await import("../src/web/page/files.ts");
  return { index, style, script: await Deno.readTextFile(`${work}/page.js`) };
}

/** @param file the bundled process, which is written anew */
export async function embedPage(file: string, page: PageFiles): Promise<void> {
  const text = await Deno.readTextFile(file);
  const parts = text.split(PLACE);
  if (parts.length !== 2) throw new Error(`Cannot put the page into "${file}": no place for it`);
  await Deno.writeTextFile(file, inAscii(parts.join(JSON.stringify(JSON.stringify(page)))));
}
