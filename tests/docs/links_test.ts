// SPDX-License-Identifier: Apache-2.0

/** Every link of every page leads to a file that is there, and to a heading of it. */
import assert from "node:assert/strict";
import { pagesBelow } from "./pages.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** As GitHub and Forgejo make them of headings. */
function anchorsOf(text: string): Set<string> {
  return new Set(
    [...withoutCode(text).matchAll(/^#{1,6} +(.+)$/gm)].map(([, heading]) =>
      heading!.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").trim().replaceAll(" ", "-")
    ),
  );
}

const withoutCode = (text: string) => text.replace(/^```[^]*?^```/gm, "");

async function deadLinks(path: string): Promise<string[]> {
  const text = withoutCode(await Deno.readTextFile(path)).replace(/`[^`\n]*`/g, "");
  const dead: string[] = [];
  for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue;
    const [file, anchor] = target!.split("#");
    const to = file === "" ? path : `${path.slice(0, path.lastIndexOf("/"))}/${file}`;
    const found = await Deno.stat(to).catch(() => null);
    const isDead = found === null ||
      (anchor !== undefined && found.isFile && to.endsWith(".md") &&
        !anchorsOf(await Deno.readTextFile(to)).has(anchor));
    if (isDead) dead.push(`${path.slice(ROOT.length)}: ${target}`);
  }
  return dead;
}

Deno.test("no link in the documents is dead", async () => {
  const dead: string[] = [];
  let count = 0;
  for await (const path of pagesBelow(ROOT.replace(/\/$/, ""))) {
    dead.push(...await deadLinks(path));
    count++;
  }
  assert.deepEqual(dead, []);
  assert.ok(count > 40, `${count} pages`);
});

Deno.test("a dead link is found, to a file or to a heading", async () => {
  const dir = await Deno.makeTempDir({ prefix: "b-links" });
  try {
    await Deno.writeTextFile(`${dir}/a.md`, "# One `two` three\n[x](b.md) [y](#one-two-three)\n");
    assert.equal((await deadLinks(`${dir}/a.md`)).length, 1);
    await Deno.writeTextFile(`${dir}/b.md`, "[x](a.md#one-two-three) [y](a.md#four)\n");
    assert.equal((await deadLinks(`${dir}/a.md`)).length, 0);
    assert.equal((await deadLinks(`${dir}/b.md`)).length, 1);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
