// SPDX-License-Identifier: Apache-2.0

/**
 * A hostile agent and an upstream that tells everything it is told: no secret is in anything that the
 * sandbox received or the host stored. The same against a proxy that scrubs nothing finds the secret in
 * every answer: so the look for it would have seen it.
 */
import assert from "node:assert/strict";
import { closeQuietly, copyBoth, writeAll } from "../../src/lib/duplex.ts";
import { agentOf, flood, INSIDE, reportOf } from "./flood.ts";
import { withRig } from "./rig.ts";
import { scanDirectories } from "./scan.ts";
import { type Hostile, startHostile } from "./servers/hostile.ts";
import { echoes, malformed } from "./servers/hostile_answers.ts";
import { authorityOf } from "./servers/tls.ts";

const NAMES = [...Object.keys(echoes), ...Object.keys(malformed)];

/** Injects the key and passes everything else on: what Bureau's proxy would be without its care. */
function startNaive(path: string, hostile: Hostile, key: string, ca: string): Deno.Listener {
  const listener = Deno.listen({ transport: "unix", path });
  const serve = async (caller: Deno.Conn) => {
    const upstream = await Deno.connectTls({
      hostname: "localhost",
      port: hostile.port,
      caCerts: [ca],
    });
    try {
      const buffer = new Uint8Array(65_536);
      const count = await caller.read(buffer) ?? 0;
      const head = new TextDecoder("latin1").decode(buffer.subarray(0, count))
        .replace("/http/hostile", "").replace("\r\n", `\r\nX-Api-Key: ${key}\r\n`);
      await writeAll(upstream, new TextEncoder().encode(head));
      await copyBoth(caller, upstream, { up: 0, down: 0 });
    } catch {
      // Either may go.
    } finally {
      closeQuietly(upstream);
      closeQuietly(caller);
    }
  };
  void (async () => {
    try {
      for await (const caller of listener) void serve(caller);
    } catch {
      // Closed.
    }
  })();
  return listener;
}

Deno.test("hostile run: answers that tell the secret, well-formed and malformed", async (t) => {
  await withRig(async (rig) => {
    const key = rig.secret("key");
    await using hostile = startHostile(key, rig.authority);
    await t.step("no answer brings the secret into the sandbox, and none hangs", async () => {
      const { code, said } = await rig.run(
        await agentOf(rig, hostile, key, `answers ${NAMES.join(" ")}`),
      );
      assert.equal(code, 0, said);
      const report = reportOf(said);
      assert.deepEqual(Object.keys(report).sort(), NAMES.toSorted());
      assert.deepEqual(Object.entries(report).filter(([, end]) => end.startsWith("hang")), []);
      assert.match(report["body"]!, / 200 /);
      assert.match(report["two-answers"]!, / 200 /);
      // The upstream was told the secret each time: there was something to hide.
      assert.ok(hostile.known() >= NAMES.length, `${hostile.known()}`);
      await rig.assertNoSecrets();
    });
    await t.step("by query and by basic authentication neither", async () => {
      for (const service of ["basic", "query"]) {
        const before = hostile.lines.length;
        const agent = await agentOf(rig, hostile, key, "answers body error-page headers");
        const { said } = await rig.run({ ...agent, environment: { SERVICE: service } });
        assert.match(reportOf(said)["body"]!, / 200 /);
        assert.equal(hostile.lines.length, before + 3, said);
      }
      await rig.assertNoSecrets();
    });
    await t.step("nor through HTTPS_PROXY, where the agent holds a placeholder", async () => {
      const { services: _, ...agent } = await agentOf(rig, hostile, key, "");
      const known = hostile.known();
      const { said } = await rig.run({
        ...agent,
        placeholders: { KEY: "key" },
        script: `mkdir received
          for name in ${NAMES.join(" ")}; do
            curl -s -m 60 -i --raw -H "X-Api-Key: $KEY" -o received/$name \
              https://${authorityOf(hostile)}/$name/$KEY
            code=$?; [ $code != 28 ] || echo "hang: $name"
            curl -s -m 60 --compressed -H "Authorization: Bearer $KEY" -d "my key is $KEY" \
              -o received/$name.body https://${authorityOf(hostile)}/$name
          done
          head -n 1 received/body`,
      });
      assert.match(said, /^HTTP\/1.1 200 /);
      assert.doesNotMatch(said, /hang/);
      // By path, header and body; the upstream was told each time.
      assert.ok(hostile.known() >= known + NAMES.length, `${hostile.known() - known}`);
      await rig.assertNoSecrets();
    });
    await t.step("without Bureau's proxy the same answers bring it, each of them", async () => {
      const path = `${rig.servers}/naive.sock`;
      const out = `${rig.servers}/received`;
      const naive = startNaive(path, hostile, key, rig.authority.ca);
      try {
        const done = await new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--quiet", "--no-check", `${INSIDE}/hostile.ts`]
            .concat([path, out, "answers", ...NAMES]),
          env: { NO_COLOR: "1" },
        }).output();
        assert.ok(done.success, new TextDecoder().decode(done.stderr));
      } finally {
        naive.close();
      }
      const { findings } = await scanDirectories([out], rig.secrets);
      const leaked = new Set(findings.map(({ where }) => where.split("/").at(-1)!.split(".")[0]));
      const mute = NAMES.filter((name) => !leaked.has(name));
      assert.deepEqual(mute, ["nothing"]);
    });
  });
});

Deno.test("hostile run: requests that say two things, or too much", async (t) => {
  await withRig(async (rig) => {
    const key = rig.secret("key");
    await using hostile = startHostile(key, rig.authority);
    const { code, said } = await rig.run(await agentOf(rig, hostile, key, "requests"));
    assert.equal(code, 0, said);
    const report = reportOf(said);
    const ends = (name: string) => report[name] ?? "no such request";
    await t.step("none hangs", () => {
      // A length that is never filled waits for the rest; the caller may wait as long as it likes.
      const hung = Object.keys(report).filter((name) => ends(name).startsWith("hang"));
      assert.deepEqual(hung, []);
    });
    await t.step(
      "the upstream never sees what the rules deny, nor a message of two readings",
      () => {
        assert.deepEqual(hostile.ambiguous, []);
        assert.deepEqual(hostile.lines.filter((line) => line.includes("smuggled")), []);
      },
    );
    await t.step("what is in order passes, what is not is refused", () => {
      for (const name of ["key-mine", "http-1.0", "forwarded", "te-case"]) {
        assert.match(ends(name), / 200 /, name);
      }
      for (const name of ["trace", "track", "connect", "spelling-0", "spelling-3", "cl-minus"]) {
        assert.match(ends(name), / 4\d\d /, name);
      }
    });
    await t.step("the caller's own key never reaches the upstream", () => {
      assert.equal(hostile.known(), hostile.lines.length);
    });
    await rig.assertNoSecrets();
  });
});

Deno.test("hostile run: 200 that dawdle, and 1,000 that leave midway", async (t) => {
  await flood(t, 200, 1_000);
});
