// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { CONTENT_SECURITY_POLICY } from "./api.ts";
import { index, style } from "./page/files.ts";
import { withMetrics } from "./metrics.ts";
import { createPageHandler } from "./serve.ts";

const ask = (path: string, init?: RequestInit) => new Request(`http://192.0.2.1${path}`, init);

Deno.test("the page names its files by their content, for ever, and itself anew each time", async () => {
  const handler = await createPageHandler({ index, style, script: "1;" });
  const page = handler(ask("/"));
  assert.equal(page.headers.get("cache-control"), "no-cache");
  const text = await page.text();
  for (const kind of ["js", "css"]) {
    const [path] = new RegExp(`/assets/page-[0-9a-f]{24}\\.${kind}`).exec(text)!;
    const file = handler(ask(path));
    assert.equal(file.status, 200);
    assert.match(file.headers.get("cache-control")!, /immutable/);
    assert.match(file.headers.get("content-type")!, kind === "js" ? /javascript/ : /css/);
  }
  const known = { headers: { "if-none-match": page.headers.get("etag")! } };
  assert.equal(handler(ask("/", known)).status, 304);
  const other = await (await createPageHandler({ index, style, script: "2;" }))(ask("/")).text();
  assert.notEqual(other, text);
});

Deno.test("the page is files that are read, and nothing else", async () => {
  const handler = await createPageHandler({ index, style, script: "1;" });
  for (const path of ["/v1/principals", "/assets/page.js", "/../etc/passwd", "/assets/"]) {
    assert.equal(handler(ask(path)).status, 404, path);
  }
  assert.equal(handler(ask("/", { method: "POST" })).status, 405);
  const head = handler(ask("/", { method: "HEAD" }));
  assert.equal(await head.text(), "");
  assert.equal(head.headers.get("content-security-policy"), CONTENT_SECURITY_POLICY);
});

Deno.test("the page's process tells how many it served", async () => {
  const handler = withMetrics(await createPageHandler({ index, style, script: "1;" }));
  await handler(ask("/"));
  await handler(ask("/none"));
  const text = await (await handler(ask("/metrics"))).text();
  assert.match(text, /^bureau_web_requests_total\{status="2xx"\} 1$/m);
  assert.match(text, /^bureau_web_requests_total\{status="4xx"\} 1$/m);
});

Deno.test("the page holds nothing that its policy forbids", () => {
  assert.ok(!/unsafe|\*|https?:/.test(CONTENT_SECURITY_POLICY));
  assert.ok(
    !/<style|\sstyle=|\son\w+=|<script(?! type="module" src="\/assets\/page\.js")/.test(index),
  );
  assert.ok(!/(?:src|href)="(?!\/)/.test(index), "nothing from elsewhere");
  assert.ok(!/@import|url\(/.test(style), "no style sheet, picture or font from elsewhere");
});
