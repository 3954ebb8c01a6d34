// SPDX-License-Identifier: Apache-2.0

/** The reference is made of what the schemas say of themselves: nothing is left out, and a template is shown as it is inherited. */
import assert from "node:assert/strict";
import * as z from "zod/mini";
import { EventType, Template } from "../../src/lib/schema/mod.ts";
import { readDocstrings } from "../../tasks/reference/docstrings.ts";
import { Sections } from "../../tasks/reference/fields.ts";

const ROOT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");

Deno.test("every event type and every field of a template is in the reference", async () => {
  const events = await Deno.readTextFile(`${ROOT}/docs/reference/events.md`);
  for (const type of Object.values(EventType)) assert.ok(events.includes(`### ${type}\n`), type);
  const templates = await Deno.readTextFile(`${ROOT}/docs/reference/templates.md`);
  for (const field of Object.keys(Template.shape)) {
    const row = templates.split("\n").find((line) => line.startsWith(`| \`${field}\` |`));
    assert.match(row ?? "", /^\|[^|]+\|[^|]+\| [^|]+ \| \S.* \|$/, field);
  }
});

const SOURCE = `
/** Shared by two. */
const version = z.literal(1);
const Inner = z.object({
  /** Of the inner one. */
  depth: z.int(),
});
/**
 * A thing, in two
 * lines.
 */
export const Thing = z.object({
  version,
  /** A list. */
  inners: z.optional(z.array(Inner)),
  silent: z.string().check(z.regex(/x/)),
});
`;

Deno.test("comments reach the tables through lists and shared constants; a field without one is told", async () => {
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(path, SOURCE);
    const Inner = z.object({ depth: z.int().check(z.minimum(0), z.maximum(9)) });
    const Thing = z.object({
      version: z.literal(1),
      inners: z.optional(z.array(Inner)),
      silent: z.string(),
    });
    const sections = new Sections({ Thing }, await readDocstrings([path]), (name) => name);
    assert.equal(sections.textOf("Thing"), "A thing, in two lines.");
    const rows = sections.rows("Thing").map(({ path, type, required, text }) =>
      [path, type, required ? "required" : "", text].join(" · ")
    );
    assert.deepEqual(rows, [
      "version · `1` · required · Shared by two.",
      "inners · list of object ·  · A list.",
      "inners[].depth · integer 0–9 · required · Of the inner one.",
      "silent · text · required · ",
    ]);
    assert.deepEqual(sections.undescribed, ["Thing.silent"]);
  } finally {
    await Deno.remove(path);
  }
});
