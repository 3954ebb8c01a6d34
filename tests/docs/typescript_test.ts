// SPDX-License-Identifier: Apache-2.0

/** The TypeScript that pages show compiles, after what the text around it says is there. */
import assert from "node:assert/strict";
import { run } from "../e2e/harness.ts";
import { type Block, blocksOf } from "./commands.ts";
import { pagesBelow } from "./pages.ts";

const ROOT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");

const CLIENT = `import { createProxyClient } from "src/lib/proxyclient/mod.ts";
declare const proxy: ReturnType<typeof createProxyClient>;`;
const MESSAGING = `import * as all from "src/messaging/mod.ts";
import { EventType } from "src/lib/schema/mod.ts";
const { RoomStates, runSync, maySpeakFor, Outbox, followEvents, readRoomState } = all;
declare const [stateDir, run, token, room, machine, userId, txn]: string[] & any;
declare const mine: readonly any[];
declare const [client, filter, store, signal, admins, content, log, use, handle]: any;
declare const [useSnapshot, stateKey, onRefused]: any;`;

/** By page: what comes before each of its blocks. A page that is not here shows whole programs. */
const BEFORE: Readonly<Record<string, string>> = {
  "docs/guide/agents.md": `import type { Driver } from "src/agent/driver/driver.ts";
import { type Protocol, startProgram, type Told } from "src/agent/driver/program.ts";`,
  "docs/guide/services.md": `import { TokenVerifier } from "src/lib/token/mod.ts";
declare const request: Request;`,
  "src/lib/proxyclient/README.md": CLIENT,
  "src/messaging/README.md": MESSAGING,
};

/** Its package is none of Bureau's: tests/homeserver/clients/passthrough_test.ts does the same with it. */
const ELSEWHERE = ["docs/guide/matrix.md"];

/** @returns a module of what a block shows, to be checked from anywhere */
function moduleOf({ page, lines }: Pick<Block, "page" | "lines">): string {
  const folder = page.slice(0, page.lastIndexOf("/"));
  const shown = lines.join("\n").replaceAll('from "./', `from "${folder}/`);
  // A block that begins with its own imports needs nothing before it.
  const before = shown.startsWith("import ") ? "" : BEFORE[page] ?? "";
  return `${before}\n${shown}\nexport {};\n`.replaceAll(
    /from "((?:src|agent|tests)\/)/g,
    `from "file://${ROOT}/$1`,
  );
}

async function compiles(modules: readonly string[]): Promise<{ code: number; said: string }> {
  const dir = await Deno.makeTempDir({ prefix: "b-snippets-" });
  try {
    const files = modules.map((_, index) => `${dir}/${index}.ts`);
    await Promise.all(files.map((file, index) => Deno.writeTextFile(file, modules[index]!)));
    const args = ["check", "--quiet", "--config", `${ROOT}/deno.json`, ...files];
    const done = await run(Deno.execPath(), args);
    return { code: done.code, said: done.stdout + done.stderr };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("the TypeScript that pages show compiles", async () => {
  const modules: string[] = [];
  for await (const path of pagesBelow(ROOT)) {
    const page = path.slice(ROOT.length + 1);
    if (ELSEWHERE.includes(page)) continue;
    const blocks = blocksOf(page, await Deno.readTextFile(path));
    modules.push(...blocks.filter(({ language }) => language === "ts").map(moduleOf));
  }
  assert.ok(modules.length >= 5);
  const { code, said } = await compiles(modules);
  assert.equal(code, 0, said);

  const wrong = moduleOf({
    page: "docs/guide/services.md",
    lines: ["new TokenVerifier().calls(request);"],
  });
  assert.match((await compiles([wrong])).said, /Property 'calls' does not exist/);
});
