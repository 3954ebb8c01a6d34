// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { commands } from "../commands.ts";
import { type CommandSpec, defineCommand, type FlagValue, type Invocation } from "./command.ts";
import { perform } from "./destroy.ts";
import { CliError } from "./exit.ts";

/** Something that can be lost. */
function bomb(harmless: boolean) {
  const scene = { isThere: true, printed: [] as string[] };
  const spec = defineCommand({
    path: ["thing", "destroy"],
    destroys: true,
    tool: { effect: "destroys" },
    brief: "",
    load: () =>
      Promise.resolve(() =>
        Promise.resolve({
          what: "destroy the thing",
          lines: ["its parts go"],
          harmless,
          run: () => {
            scene.isThere = false;
            return Promise.resolve({ gone: true });
          },
        })
      ),
  });
  const call = (flags: Record<string, FlagValue>) =>
    perform(spec, {
      flags,
      json: true,
      print: (line: string) => scene.printed.push(line),
    } as unknown as Invocation);
  return { scene, call };
}

Deno.test("perform() changes nothing with --dry-run, and says what would go", async () => {
  const { scene, call } = bomb(false);
  assert.deepEqual(await call({ "dry-run": true, yes: true }), {
    dry_run: true,
    would: "destroy the thing",
    lines: ["its parts go"],
  });
  assert.equal(scene.isThere, true);
  assert.deepEqual(scene.printed.slice(0, 2), ["would destroy the thing", "  its parts go"]);
  assert.deepEqual(await call({ yes: true }), { gone: true });
  assert.equal(scene.isThere, false);
});

Deno.test("perform() refuses what nobody can be asked about, unless it is harmless", async () => {
  const { scene, call } = bomb(false);
  await assert.rejects(
    call({}),
    (thrown) =>
      thrown instanceof CliError && thrown.code === "usage" &&
      /--dry-run.*--yes/.test(thrown.hint!),
  );
  assert.equal(scene.isThere, true);
  assert.deepEqual(await bomb(true).call({}), { gone: true });
});

/** Words that say that something is lost. */
const LOSES =
  /^(compact|decommission|delete|destroy|discard|kill|purge|remove|restore|revoke|stop)$/;
/** With a word of these, and nothing is lost. */
const HARMLESS: Readonly<Record<string, string>> = {
  "auth revoke": "`auth grant` gives it back, and the ticket is kept",
  "homeserver compact": "only what nobody can ask for any more",
};

Deno.test("every command that destroys is asked about, and has --dry-run", () => {
  const name = (spec: CommandSpec) => spec.path.join(" ");
  const bare = commands.filter((spec) => LOSES.test(spec.path.at(-1)!) && spec.destroys !== true);
  assert.deepEqual(bare.map(name).sort(), Object.keys(HARMLESS).sort());
  for (const spec of commands.filter(({ destroys }) => destroys === true)) {
    assert.ok(spec.flags?.["dry-run"] !== undefined && spec.flags["yes"] !== undefined, name(spec));
  }
});
