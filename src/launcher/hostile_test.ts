// SPDX-License-Identifier: Apache-2.0

/**
 * Hostile shapes on the launcher's whole path: what a request may say is refused before anything is made, or
 * reaches bwrap as the very words that it was, never as an option.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concatBytes } from "../lib/bytes.ts";
import { BureauError, MAX_MESSAGE } from "../lib/errors.ts";
import type { Assignment, Template } from "../lib/schema/events.ts";
import { generateMachineKey } from "../lib/sealed/mod.ts";
import { templateDigest } from "../lib/template/mod.ts";
import { agentArguments, startScript, tmuxCellArguments } from "../sandbox/mod.ts";
import { parse } from "../sandbox/testing/words.ts";
import { localpart, MACHINE, SERVER, withLauncher } from "./testing/harness.ts";
import { cellFiles } from "./directories.ts";
import { validateRequest } from "./validate.ts";

const LONG = "x".repeat(200_000);
const SHAPES = [
  ...["", "-", "--", "--bind", "--ro-bind=/", "-x", "..", ".", "../..", "/..", "a/../b"],
  ...["a\nb", "\n", "a\0b", "\0", "\r", "\x1b[2J", "\x7f", "\ud800", "\udfff\ud800", "\u202e"],
  ...["'", "'; id '", '"', "$(id)", "`id`", "\\", "*", "~", "#", " ", "${HOME}", "$x", "é", "𐍈"],
  ...["__proto__", "constructor", LONG, `/${LONG}`, "/".repeat(5000), "a/".repeat(3000)],
];
const hostile = fc.oneof(fc.constantFrom(...SHAPES), fc.string({ unit: "binary", maxLength: 6 }));
const path = fc.oneof(hostile, hostile.map((text) => `/w/${text}`));
const good = <T>(value: T, other: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(value) }, other);

/** One that is in order, and here and there something hostile. @param dir a bind root */
const templates = (dir: string): fc.Arbitrary<Template> =>
  fc.record({
    command: good<string[]>(["true"], fc.array(hostile, { maxLength: 3 })),
    filesystem: good<NonNullable<Template["filesystem"]>>(
      [{ source: dir, dest: "/w", mode: "rw" }],
      fc.array(
        fc.record({
          source: good(dir, fc.oneof(hostile, hostile.map((text) => `${dir}/${text}`))),
          dest: good("/w", path),
          mode: fc.constantFrom("ro" as const, "rw" as const),
        }),
        { maxLength: 2 },
      ),
    ),
    create_dirs: good<string[]>(["/d"], fc.array(path, { maxLength: 2 })),
    protected_paths: good<string[]>([], fc.array(hostile, { maxLength: 2 })),
    devices: good<string[]>([], fc.array(hostile.map((text) => `/dev/${text}`), { maxLength: 1 })),
    environment_variables: good<Record<string, string>>(
      { A: "b" },
      fc.dictionary(good("A", hostile), hostile, { maxKeys: 2 }),
    ),
    prepend_variables: good<Record<string, string[]>>(
      {},
      fc.dictionary(good("PATH", hostile), fc.array(hostile, { maxLength: 2 }), { maxKeys: 1 }),
    ),
    hostname: good("box", hostile),
    resources: good<NonNullable<Template["resources"]>>(
      {},
      fc.record({
        files: fc.constantFrom(0, -1, 1.5, 1e300, 4096),
        scratch_mb: fc.constantFrom(0, -1, 0.3, 1e300, 7),
      }),
    ),
  }, { requiredKeys: ["command"] });

const DIRS = {
  ...{ agent: "/r/agent", admin: "/r/admin", egress: "/r/egress", tmux: "/r/tmux" },
  ...{ observe: "/r/observe", cell: "/r/cell", listen: "/r/l", service: "/r/s" },
};

Deno.test("no request makes bwrap read anything but the words that it holds", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-h" });
  const { identity } = await generateMachineKey();
  const policy = {
    version: 1 as const,
    operator_keys: [],
    bind_roots: [{ path: dir, mode: "rw" as const }],
    passthrough: [],
    limits: { memory_limit_mb: 64, pids_limit: 64 },
  };
  const seen = { accepted: 0, refused: new Set<string>() };
  const attempt = async (template: Template, change: Partial<Assignment>) => {
    const name = localpart("x");
    const assignment: Assignment = {
      version: 1,
      principal: `@${name}:${SERVER}`,
      machine: MACHINE,
      template: "bureau/template:t",
      template_digest: await templateDigest(template),
      desired: "running",
      issued_by: `@operator:${SERVER}`,
      issued_at: 1,
      // Looked at before this, by verifyAssignment().
      signature: { key_id: "", value: "" },
      ...change,
    };
    const request = { assignment, template, credentials: null, grants: [], denials: [] };
    return await validateRequest(name, request, policy, identity);
  };
  const changes = fc.record({
    command_override: fc.array(hostile, { minLength: 1, maxLength: 2 }),
    extra_environment_variables: fc.dictionary(good("B", hostile), hostile, { maxKeys: 1 }),
    variables: fc.dictionary(good("HOME", hostile), hostile, { maxKeys: 1 }),
    payload: fc.dictionary(hostile, hostile, { maxKeys: 1 }),
  }, { requiredKeys: [] });
  try {
    await fc.assert(
      fc.asyncProperty(templates(dir), good({}, changes), async (template, change) => {
        let made;
        try {
          made = await attempt(template, change);
        } catch (thrown) {
          // A refusal that says why, never an accident.
          assert.ok(thrown instanceof BureauError, String(thrown));
          assert.ok(thrown.message.length <= MAX_MESSAGE, "a refusal repeats no 200 KB");
          seen.refused.add(thrown.code);
          return;
        }
        seen.accepted++;
        const { plan } = made;
        parse(tmuxCellArguments(plan, DIRS));
        const options = parse(agentArguments(plan));
        assert.ok(options.some(([name]) => name === "--disable-userns"));
        for (const [name, source] of options) {
          if (name === "--bind") assert.match(source!, /^\/source\/\d+$/);
        }
        const files = cellFiles(made);
        assert.equal(new Set(files.map(([name]) => name)).size, files.length);
        for (const [name] of files) assert.match(name, /^[\w./-]+$/);
        const script = startScript(plan.command, "died", made.pidsLimit, plan.files);
        assert.ok(!script.includes("\0"));
      }),
      { numRuns: 1_500 },
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
  assert.ok(seen.accepted > 60, `only ${seen.accepted} were accepted`);
  for (const code of ["bad-path", "bad-word", "bad-variable", "bad-hostname", "bad-limit"]) {
    assert.ok(seen.refused.has(code), `${code} in ${[...seen.refused].join(", ")}`);
  }
});

async function writeAll(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

/** One request as bytes, and the status that came back; 0 when the connection was closed without one. */
async function raw(socket: string, target: Uint8Array, body: Uint8Array): Promise<number> {
  const text = (line: string) => new TextEncoder().encode(line);
  const connection = await Deno.connect({ transport: "unix", path: socket });
  const timer = setTimeout(() => connection.close(), 15_000);
  try {
    const parts = [
      ...[text("PUT /v1/principals/"), target, text(" HTTP/1.1\r\nhost: launcher\r\n")],
      text(`content-type: application/json\r\ncontent-length: ${body.length}\r\n`),
      ...[text("connection: close\r\n\r\n"), body],
    ];
    // Refused in the middle of what is too long: the answer is there all the same, or the end.
    await writeAll(connection, concatBytes(parts)).catch(() => {});
    let answer = "";
    const buffer = new Uint8Array(4096);
    while (!answer.includes("\r\n")) {
      const n = await connection.read(buffer);
      if (n === null) break;
      answer += new TextDecoder("latin1").decode(buffer.subarray(0, n));
    }
    return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
  } catch (thrown) {
    // Closed in the middle of what was too long.
    if (thrown instanceof Deno.errors.ConnectionReset || thrown instanceof Deno.errors.BrokenPipe) {
      return 0;
    }
    throw thrown;
  } finally {
    clearTimeout(timer);
    try {
      connection.close();
    } catch {
      // The other side did.
    }
  }
}

Deno.test("a launcher refuses hostile bytes before it makes anything, and goes on", async () => {
  await withLauncher(async (bed) => {
    const socket = `${bed.dir}/launcher/launcher.sock`;
    const text = (value: string) => new TextEncoder().encode(value);
    const request = await bed.request("x");
    const body = text(JSON.stringify(request));
    const name = encodeURIComponent(localpart("x"));
    const cut = (at: number, bytes: number[]) =>
      new Uint8Array([...body.subarray(0, at), ...bytes, ...body.subarray(at)]);
    const inCommand = new TextDecoder().decode(body).indexOf("exec sleep") + 2;
    const names = ["", "..", "%2e%2e%2f..", "-x", "--bind", "a%0ab", "a%00b", "%ff%fe", "%", "%zz"];
    const cases: [what: string, target: Uint8Array, body: Uint8Array][] = [
      ...names.map((one): [string, Uint8Array, Uint8Array] => [one, text(one), body]),
      ["raw invalid UTF-8 in the target", new Uint8Array([0x61, 0xff, 0xfe]), body],
      ["a name of 200 KB", text("a".repeat(200_000)), body],
      ["invalid UTF-8 in a word", text(name), cut(inCommand, [0xff, 0xfe])],
      ["an overlong NUL in a word", text(name), cut(inCommand, [0xc0, 0x80])],
      ["a lone surrogate as bytes", text(name), cut(inCommand, [0xed, 0xa0, 0x80])],
      ["a raw newline in a word", text(name), cut(inCommand, [0x0a])],
      ["a raw NUL in a word", text(name), cut(inCommand, [0])],
      ["not JSON", text(name), text("{".repeat(100_000))],
      ["null", text(name), text("null")],
      ["an empty body", text(name), new Uint8Array()],
    ];
    for (const [what, target, body] of cases) {
      const status = await raw(socket, target, body);
      assert.ok(status === 0 || (status >= 400 && status < 500), `${what}: ${status}`);
      assert.deepEqual([...Deno.readDirSync(`${bed.dir}/p`)], [], what);
    }
    const tmux = (await bed.processes()).filter(({ command }) => /tmux|proxy\.js/.test(command));
    assert.deepEqual(tmux, []);
    // Control: the very same way, in order, starts it.
    assert.equal(await raw(socket, text(name), body), 200);
    assert.equal((await bed.show("x")).phase, "running");
  });
});
