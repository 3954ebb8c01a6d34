// SPDX-License-Identifier: Apache-2.0

/** The recordings that are shown: whole, small, and about nobody's machine. */
import assert from "node:assert/strict";
import { readCast } from "../../src/lib/recording/mod.ts";
import { ROOT } from "../e2e/harness.ts";

const DIR = `${ROOT}/docs/recordings`;

Deno.test("the recordings in docs/ are whole, of less than 200 KB, and hold no secret", async () => {
  let size = 0;
  for await (const { name } of Deno.readDir(DIR)) {
    const bytes = await Deno.readFile(`${DIR}/${name}`);
    size += bytes.length;
    if (!name.endsWith(".cast")) continue;
    const { header, events } = await readCast(ReadableStream.from([bytes]));
    const shown = (await Array.fromAsync(events)).map(({ data }) => data).join("") + header.title;
    assert.match(shown, /greet\.sh/);
    assert.doesNotMatch(shown, /sk-|syt_|Bearer|\/root|\/tmp\/b-|\/work\//);
  }
  assert.ok(size > 10_000 && size < 200_000, `${size} bytes`);
});
