// SPDX-License-Identifier: Apache-2.0

/** Templates as an operator works on them: files checked and pushed, what a change reaches, signed again. */
import assert from "node:assert/strict";
import { eventually, step, withBureau } from "./harness.ts";
import { matrix, roomId } from "./matrix.ts";

const REVIEWER = "bureau/template:reviewer";

const reviewer = (greeting: string) =>
  `# YAML, with comments
description: Reads and says what it thinks
inherits: ["bureau/template:agent"]
environment_variables:
  GREETING: ${greeting}
`;

interface View {
  readonly phase: string;
  readonly since: number;
  readonly message?: string | null;
}
interface Row {
  readonly template: string;
  readonly digest: string;
  readonly origin: string;
  readonly written_by: string;
}
interface Affected {
  readonly principal: string;
  readonly must_sign: boolean;
  readonly restarts: boolean | null;
}

Deno.test("an operator lists, checks, pushes and compares templates, and signs what they change", async (t) => {
  await withBureau(async (bureau) => {
    const ok = async (...args: string[]) => {
      const done = await bureau.cli(...args);
      assert.equal(done.code, 0, done.stdout + done.stderr);
      return done.stdout;
    };
    const file = async (name: string, text: string) => {
      const path = `${bureau.stateDir}/${name}`;
      await Deno.writeTextFile(path, text);
      return path;
    };
    const up = await bureau.up("--detach");
    assert.equal(up.code, 0, up.stderr);
    const rows = async () =>
      (await bureau.json<{ templates: Row[] }>("template", "list")).templates;
    const origin = async (name: string) =>
      (await rows()).find(({ template }) => template === name)?.origin;

    await step(t, bureau, "the built-in ones are listed, with digest and author", async () => {
      const base = (await rows()).find(({ template }) => template === "bureau/template:base")!;
      assert.match(base.digest, /^[0-9a-f]{64}$/);
      assert.equal(base.origin, "built-in");
      assert.match(base.written_by, /^@/);
    });

    await step(t, bureau, "a file's mistakes are told with line and column", async () => {
      const bad = await file(
        "bad.yaml",
        "description: it\ncommand: [a]\nhostname: A_B\ncomand: [b]\n",
      );
      const done = await bureau.cli("template", "validate", bad);
      assert.equal(done.code, 1, done.stderr);
      assert.match(done.stdout, /bad\.yaml:3:1: hostname must be one label/);
      assert.match(done.stdout, /bad\.yaml:4:1: comand is no field of a template/);
      const refused = await bureau.cli("template", "push", bad, REVIEWER);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /2 mistakes/);
      assert.equal((await bureau.cli("template", "validate", "/nowhere/x.yaml")).code, 5);
    });

    const first = await file("reviewer.yaml", reviewer("hello"));
    await step(t, bureau, "a push without --dry-run writes, with it nothing", async () => {
      await ok("template", "validate", first);
      assert.match(
        await ok("template", "push", first, REVIEWER, "--dry-run"),
        /\+ environment_variables/,
      );
      assert.equal(await origin(REVIEWER), undefined);
      await ok("template", "push", first, REVIEWER);
      assert.equal(await origin(REVIEWER), "own");
      assert.match(await ok("template", "diff", REVIEWER, first), /^no difference$/m);
      const shown = await ok("template", "show", REVIEWER, "--resolved");
      assert.match(shown, /environment_variables\.GREETING +bureau\/template:reviewer +hello/);
      assert.match(shown, /environment_variables\.LANG +bureau\/template:base +C\.UTF-8/);
      assert.match(await ok("template", "show", REVIEWER), /GREETING: hello/);
    });

    await step(t, bureau, "parents that are not there and loops are refused", async () => {
      const orphan = await file(
        "orphan.yaml",
        "description: x\ninherits: ['bureau/template:none']\n",
      );
      const missing = await bureau.cli("template", "push", orphan, "bureau/template:orphan");
      assert.equal(missing.code, 5);
      assert.match(missing.stderr, /template:none/);
      const loop = await file("loop.yaml", `description: x\ninherits: ['${REVIEWER}']\n`);
      const refused = await bureau.cli("template", "push", loop, "bureau/template:agent");
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, /inherits itself/);
      assert.equal(await origin("bureau/template:agent"), "built-in");
    });

    const view = () => bureau.json<View>("agent", "show", "agent/second");
    const impact = async (...flags: string[]) =>
      await bureau.json<{ assignments: Affected[]; signed?: { signed: boolean }[] }>(
        "template",
        "impact",
        "bureau/template:base",
        ...flags,
      );
    await step(t, bureau, "a change stops nothing; signed again, it starts anew", async () => {
      await ok("agent", "create", "agent/second", "--template", REVIEWER);
      await eventually("it runs", async () => (await view()).phase === "running", 60_000);
      const before = await view();
      const second = await file(
        "reviewer.json",
        JSON.stringify({
          description: "Reads",
          inherits: ["bureau/template:agent"],
          environment_variables: { GREETING: "good evening" },
        }),
      );
      const pushed = await bureau.json<{ must_sign: Affected[] }>(
        "template",
        "push",
        second,
        REVIEWER,
      );
      assert.deepEqual(
        pushed.must_sign.map((one) => [one.principal, one.restarts]),
        [["bureau/fleet/dev/agent/second", true]],
      );
      await eventually(
        "its machine has seen it",
        async () => JSON.stringify(await view()).includes("not the one that was signed"),
        60_000,
      );
      assert.equal((await view()).phase, "running");
      assert.equal((await view()).since, before.since);
      const all = (await impact()).assignments;
      assert.deepEqual(
        all.map((one) => [one.principal, one.must_sign]).toSorted(),
        [["bureau/fleet/dev/agent/scribe", false], ["bureau/fleet/dev/agent/second", true]],
      );
      assert.deepEqual((await impact("--resign")).signed?.map(({ signed }) => signed), [true]);
      await eventually("it runs anew", async () => {
        const now = await view();
        return now.phase === "running" && now.since !== before.since;
      }, 60_000);
      assert.ok((await impact()).assignments.every(({ must_sign: must }) => !must));
    });

    await step(t, bureau, "an assignment lays another template on top of its own", async () => {
      const extra = (word: string) =>
        `description: More of it\ninherits: ["bureau/template:base"]\nenvironment_variables: { MORE: ${word} }\n`;
      await ok("template", "push", await file("more.yaml", extra("one")), "bureau/template:more");
      const before = await view();
      const create = ["agent", "create", "agent/second", "--template", REVIEWER];
      await ok(...create, "--inherit", "bureau/template:more");
      await eventually("it runs anew", async () => {
        const now = await view();
        return now.phase === "running" && now.since !== before.since;
      }, 60_000);
      assert.match(await ok("sandbox", "explain", "agent/second"), /\bMORE\b/);
      assert.match(
        await ok("template", "impact", "bureau/template:more"),
        /agent\/second .*bureau\/template:reviewer \+ bureau\/template:more .*signed as it is/,
      );
      const changed = await file("more.yaml", extra("two"));
      const pushed = await bureau.json<{ must_sign: Affected[] }>(
        "template",
        "push",
        changed,
        "bureau/template:more",
      );
      assert.deepEqual(
        pushed.must_sign.map((one) => [one.principal, one.restarts]),
        [["bureau/fleet/dev/agent/second", true]],
      );
      const loop = await bureau.cli(...create, "--inherit", "bureau/template:none");
      assert.match(loop.stderr, /Cannot find the template "bureau\/template:none"/);
      assert.equal((await impact("--resign")).signed?.length, 1);
    });

    await step(t, bureau, "what the operator did not sign is not signed along", async () => {
      const machine = (await bureau.json<{ daemon: { machine: string } }>("status")).daemon.machine;
      const room = await roomId(bureau, machine.slice(1).split(":")[0]!);
      const server = machine.split(":").slice(1).join(":");
      const path = `rooms/${encodeURIComponent(room)}/state/m.bureau.assignment/${
        encodeURIComponent(`bureau/fleet/dev/agent/second:${server}`)
      }`;
      const signed = await matrix<Record<string, unknown>>(bureau, path);
      const forged = { ...signed, template_digest: "0".repeat(64), command_override: ["/bin/sh"] };
      await matrix(bureau, path, { method: "PUT", body: forged });
      const done = await bureau.cli("template", "impact", REVIEWER, "--resign");
      assert.equal(done.code, 1, done.stdout + done.stderr);
      assert.match(
        done.stdout,
        /agent\/second: NOT SIGNED: its assignment is not as you signed it/,
      );
      assert.deepEqual(await matrix(bureau, path), forged);
    });

    await step(
      t,
      bureau,
      "a built-in template that differs is brought up to this version",
      async () => {
        const old = await file(
          "old.yaml",
          "description: old\ninherits: ['bureau/template:agent']\n",
        );
        await ok("template", "push", old, "bureau/template:networked");
        assert.equal(await origin("bureau/template:networked"), "differs");
        assert.match(await ok("template", "update", "--dry-run"), /\+ bridge: true/);
        assert.equal(await origin("bureau/template:networked"), "differs");
        await ok("template", "update");
        assert.equal(await origin("bureau/template:networked"), "built-in");
        assert.match(await ok("template", "publish"), /^nothing differs$/m);
      },
    );
  });
});
