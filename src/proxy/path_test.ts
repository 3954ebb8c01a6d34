// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import fc from "fast-check";
import { normalisePath, splitUrl } from "./path.ts";

/** How the most generous server would resolve a path: decoded again and again, `\` as `/`, `;x` dropped. */
function generouslyResolved(path: string): string[] | null {
  let text = path;
  for (let round = 0; round < 6; round++) {
    const depth: string[] = [];
    for (const raw of text.split(/[/\\]/)) {
      const segment = raw.split(";", 1)[0]!;
      if (segment === "" || segment === ".") continue;
      if (segment !== "..") depth.push(segment);
      else if (depth.pop() === undefined) return null;
    }
    text = text.replace(
      /%([0-9A-Fa-f]{2})/g,
      (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
    );
  }
  return text.split("/");
}

const hostile = fc.array(
  fc.constantFrom(
    ...["/", "..", ".", "%2e", "%2E%2e", "%2f", "%2F", "%5c", "\\", "//", "a", "b%20c", "..;x"],
    ...[
      ";",
      "%252e",
      "%252f",
      "%00",
      "%",
      "%zz",
      "?",
      "#",
      "@",
      ":",
      " ",
      "ä",
      "%c0%ae",
      "~",
      "%41",
    ],
  ),
  { maxLength: 12 },
).map((parts) => "/" + parts.join(""));

Deno.test("normalisePath() gives a path that nobody resolves above its root, or refuses", () => {
  fc.assert(
    fc.property(hostile, (path) => {
      let normal: string;
      try {
        normal = normalisePath(path);
      } catch (thrown) {
        assert.equal((thrown as { code?: string }).code, "bad-path");
        return;
      }
      assert.ok(normal.startsWith("/") && !normal.startsWith("//"), normal);
      assert.ok(!normal.split("/").some((part) => part === "." || part === ".."), normal);
      assert.notEqual(generouslyResolved(normal), null, `${path} → ${normal}`);
      assert.equal(new URL(`http://host${normal}`).pathname, normal);
      assert.equal(normalisePath(normal), normal);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("normalisePath() keeps what means something and tidies what does not", () => {
  for (
    const [path, normal] of [
      ["", "/"],
      ["/", "/"],
      ["/v1/messages", "/v1/messages"],
      ["/a//b/", "/a/b/"],
      ["/a/./b/../c", "/a/c"],
      ["/a/%2e/b", "/a/b"],
      ["/a/b/..", "/a/"],
      ["/%41%7e%2f%c3%a4", "/A~%2F%C3%A4"],
      ["/repos/o%2Fr/contents", "/repos/o%2Fr/contents"],
      ["/@scope/name;v=1", "/@scope/name;v=1"],
      ["/...", "/..."],
    ] as const
  ) assert.equal(normalisePath(path), normal);
});

Deno.test("splitUrl() takes path and query as they were received", () => {
  assert.deepEqual(splitUrl("http+unix://host/a/../b?x=%2F#y"), {
    path: "/a/../b",
    query: "?x=%2F",
  });
  assert.deepEqual(splitUrl("http://evil"), { path: "/", query: "" });
  assert.throws(() => splitUrl("http://h/?a b"), { code: "bad-path" });
});
