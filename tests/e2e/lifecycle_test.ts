// SPDX-License-Identifier: Apache-2.0

/**
 * The whole promise on real parts: an assignment becomes an agent that does credentialed work it could
 * not do by itself, is seen and driven live, and goes away without a trace.
 */
import assert from "node:assert/strict";
import { unsealBundle } from "../../src/lib/sealed/mod.ts";
import {
  agentPid,
  type Bureau,
  EMBEDDED,
  eventually,
  findProcess,
  processesOf,
  run,
  step,
  withBureau,
} from "./harness.ts";
import { matrix, messages, roomId, SCRIBE, stateEvents } from "./matrix.ts";

/** The published report of the example agent. */
async function publishedReport(bureau: Bureau): Promise<{ room: string; content: Report }> {
  const room = await roomId(bureau, SCRIBE);
  const event = await eventually(
    "the report is published",
    async () => (await stateEvents(bureau, room, "m.bureau.report"))[0],
    30_000,
  );
  return { room, content: event.content as unknown as Report };
}

interface Report {
  readonly sha256: string;
  readonly report: string;
  readonly timestamp: { readonly token: string };
}

/** Every secret of the agent's sealed bundle, opened with the machine's own key. */
async function agentSecrets(bureau: Bureau): Promise<string[]> {
  const machine = Deno.hostname().toLowerCase().split(".")[0]!;
  const config = await matrix<{ room_id: string }>(
    bureau,
    `directory/room/${
      encodeURIComponent(
        `#bureau/fleet/dev/machine/${await machineOf(
          bureau,
          machine,
        )}:${bureau.homeserver.serverName}`,
      )
    }`,
  );
  const [sealed] = (await stateEvents(bureau, config.room_id, "m.bureau.credentials"))
    .filter((event) => event.state_key?.startsWith(SCRIBE));
  const identity = (await Deno.readTextFile(`${bureau.stateDir}/launcher/machine-key.txt`)).trim()
    .split("\n").find((line) => line.startsWith("AGE-SECRET-KEY-"))!;
  const { parts } = sealed!.content as { parts?: Record<string, { ciphertext: string }> };
  const bundle = await unsealBundle(String(sealed!.content["ciphertext"]), identity);
  const values: string[] = [];
  for (const { ciphertext } of Object.values(parts ?? {})) {
    const { credentials } = await unsealBundle(ciphertext, identity);
    values.push(...Object.values(credentials).map(({ value }) => value));
  }
  assert.ok(values.length > 0, "the agent has credentials");
  return [bundle.matrix!.access_token, ...values];
}

async function machineOf(bureau: Bureau, fallback: string): Promise<string> {
  const policy = JSON.parse(
    await Deno.readTextFile(`${bureau.stateDir}/operator/machine-session.json`),
  ) as { user_id?: string };
  return /machine\/([^:]+):/.exec(policy.user_id ?? "")?.[1] ?? fallback;
}

/** Files below `dir` that contain one of `needles`, except the database that holds the ciphertexts. */
async function filesHolding(dir: string, needles: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const needle of needles) {
    const { stdout } = await run("grep", [
      "--recursive",
      "--files-with-matches",
      "--binary-files=text",
      "--devices=skip",
      "--fixed-strings",
      "--",
      needle,
      dir,
    ]);
    found.push(...stdout.split("\n").filter(Boolean));
  }
  return found;
}

Deno.test("an assigned agent reports through its proxy and never holds a key", async (t) => {
  await withBureau(async (bureau) => {
    const started = await bureau.up("--detach");
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const { room, content } = await publishedReport(bureau);

    await step(t, bureau, "the report is about the repository", () => {
      const report = JSON.parse(content.report);
      assert.deepEqual([report.commits, report.files, report.authors[0].name], [2, 2, "Ada"]);
      assert.deepEqual(report.most_changed[0], { path: "src/a.ts", commits: 2 });
    });

    await step(
      t,
      bureau,
      "its timestamp verifies with openssl, and another report's does not",
      async () => {
        const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-ts-" });
        await Deno.writeFile(`${dir}/token.tsr`, Uint8Array.fromBase64(content.timestamp.token));
        await Deno.writeTextFile(`${dir}/report.json`, content.report);
        const verify = [
          "ts",
          "-verify",
          "-data",
          "report.json",
          "-in",
          "token.tsr",
          "-CAfile",
          `${bureau.stateDir}/authority/ca.pem`,
        ];
        const good = await run("openssl", verify, dir);
        assert.equal(good.code, 0, good.stderr);
        await Deno.writeTextFile(`${dir}/report.json`, content.report + " ");
        assert.notEqual((await run("openssl", verify, dir)).code, 0);
        await Deno.remove(dir, { recursive: true });
      },
    );

    await step(t, bureau, "the authority refuses whoever has no key", async () => {
      const { stdout, stderr } = await run("curl", [
        "--silent",
        "--show-error",
        "--cacert",
        `${bureau.stateDir}/authority/ca.pem`,
        "--write-out",
        "%{http_code}",
        "--output",
        "/dev/null",
        "--data-binary",
        "x",
        `https://localhost:${bureau.ports.authority}/tsa`,
      ]);
      assert.equal(stdout, "401", stderr);
    });

    await step(
      t,
      bureau,
      "it answers `report PATH`, and hostile paths politely, once each",
      async () => {
        for (const question of ["report src/a.ts", "report ../../etc/passwd", "report $(id)"]) {
          const sent = await bureau.cli("matrix", "send", "agent/scribe", question);
          assert.equal(sent.code, 0, sent.stderr);
        }
        const answers = await eventually("three answers", async () => {
          const replies = (await messages(bureau, room)).filter((event) =>
            event.sender.startsWith(`@${SCRIBE}`) && "m.relates_to" in event.content
          );
          return replies.length >= 3 ? replies : null;
        });
        const bodies = answers.map((event) => String(event.content["body"]));
        assert.equal(bodies.length, 3);
        assert.match(bodies[0]!, /^src\/a\.ts: 40 bytes, 2 lines, 2 commits by Ada \(2\)/);
        assert.match(bodies[1]!, /^no such path/);
        assert.match(bodies[2]!, /^no such path/);
        const shown = await bureau.cli("matrix", "messages", "agent/scribe");
        assert.match(shown.stdout, /src\/a\.ts: 40 bytes/);
      },
    );

    await step(
      t,
      bureau,
      "its keys are in no process, log or file, and not in the sandbox",
      async () => {
        const secrets = await agentSecrets(bureau);
        assert.ok(secrets.length >= 2 && secrets.every((secret) => secret.length > 16));
        for (const pid of await processesOf(bureau)) {
          for (const file of ["environ", "cmdline"]) {
            const text = await Deno.readTextFile(`/proc/${pid}/${file}`).catch(() => "");
            for (const secret of secrets) assert.ok(!text.includes(secret), `/proc/${pid}/${file}`);
          }
        }
        assert.deepEqual(await filesHolding(bureau.stateDir, secrets), []);
        assert.deepEqual(await filesHolding(bureau.runDir, secrets), []);
        const agent = await agentPid(bureau);
        for (const dir of ["run", "scratch", "tmp", "etc", "opt", "workspace"]) {
          const inside = `/proc/${agent}/root/${dir}`;
          assert.deepEqual(await filesHolding(inside, secrets), [], inside);
        }
        // Control: the search finds what is there.
        await Deno.writeTextFile(`${bureau.stateDir}/logs/planted`, `x${secrets[0]}x`);
        assert.deepEqual(await filesHolding(bureau.stateDir, secrets), [
          `${bureau.stateDir}/logs/planted`,
        ]);
        await Deno.remove(`${bureau.stateDir}/logs/planted`);
      },
    );

    await step(t, bureau, "the sandbox has no network, no host and no privilege", async () => {
      const agent = await agentPid(bureau);
      const status = await Deno.readTextFile(`/proc/${agent}/status`);
      assert.match(status, /^NoNewPrivs:\s+1$/m);
      assert.match(status, /^CapEff:\s+0+$/m);
      assert.match(status, /^CapBnd:\s+0+$/m);
      assert.doesNotMatch(status, /^Uid:\s+0\s/m);
      const devices = await Deno.readTextFile(`/proc/${agent}/net/dev`);
      assert.deepEqual(
        devices.split("\n").slice(2).map((line) => line.split(":")[0]!.trim()).filter(Boolean),
        ["lo"],
      );
      const environment = (await Deno.readTextFile(`/proc/${agent}/environ`)).split("\0")
        .filter(Boolean).map((pair) => pair.split("=")[0]).sort();
      for (const name of environment) {
        assert.match(name!, /^(BUREAU_PROXY_SOCKET|HOME|LANG|PATH|PWD|TERM|SHELL|_|OLDPWD|SHLVL)$/);
      }
      const root = [...Deno.readDirSync(`/proc/${agent}/root`)].map((entry) => entry.name);
      assert.ok(
        !root.includes("root") && !root.includes("home") && !root.includes("var"),
        `${root}`,
      );
    });

    await step(t, bureau, "an operator asks its proxy what it would be told", async () => {
      const asked = await bureau.cli("proxy", "call", "agent/scribe", "GET", "/v1/identity");
      assert.equal(asked.code, 0, asked.stderr);
      assert.deepEqual(JSON.parse(asked.stdout).services, ["timestamp"]);
      const refused = await bureau.cli("proxy", "call", "agent/scribe", "GET", "/http/none/x");
      assert.equal(refused.code, 1);
      assert.match(refused.stdout, /"code":"no-such-service"/);
      const nobody = await bureau.cli("proxy", "call", "agent/nobody", "GET", "/v1/identity");
      assert.match(nobody.stderr, /no such agent runs here\nhint: /);
    });

    await step(t, bureau, "status and show tell the truth", async () => {
      const shown = await bureau.json<{ phase: string; egress: { allowed: number } }>(
        "agent",
        "show",
        "agent/scribe",
      );
      assert.equal(shown.phase, "running");
      const status = await bureau.cli("status");
      assert.match(status.stdout, /agent\/scribe.*running/);
      const processes = ["launcher", "web", "daemon", "authority"];
      for (const name of EMBEDDED ? ["homeserver", ...processes] : processes) {
        assert.match(status.stdout, new RegExp(name));
      }
    });

    await step(t, bureau, "destroy removes it, and the removal holds", async () => {
      const done = await bureau.cli("agent", "destroy", "agent/scribe", "--yes");
      assert.equal(done.code, 0, done.stdout + done.stderr);
      await eventually(
        "the sandbox is gone",
        async () =>
          await findProcess(bureau, (line) => line.includes("/opt/agent/scribe")) === null,
      );
      assert.deepEqual([...Deno.readDirSync(`${bureau.runDir}/p`)], []);
    });
  });
});
