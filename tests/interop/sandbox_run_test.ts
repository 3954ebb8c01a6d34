// SPDX-License-Identifier: Apache-2.0

/** `bureau sandbox run --allow-host --credential`: the command as a person types it, with no homeserver anywhere. */
import assert from "node:assert/strict";
import { lacks, skip } from "../../src/lib/testing/skip.ts";
import { ROOT } from "../e2e/harness.ts";
import { unreachable } from "../escape/reach.ts";
import { makeAuthority } from "./servers/tls.ts";
import { waitFor } from "./wait.ts";

const SECRET = "s3cret-of-a-person-0123456789";

interface Bed {
  readonly dir: string;
  readonly port: number;
  /** What the server saw as `Authorization`. */
  readonly seen: string[];
  run(...args: string[]): Promise<{ code: number; out: string; err: string }>;
}

async function withBed(body: (bed: Bed) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-run" });
  await Deno.chmod(dir, 0o755);
  const { ca, cert, key } = await makeAuthority(`${dir}/ca`);
  await Deno.writeTextFile(`${dir}/ca.pem`, ca);
  await Deno.writeTextFile(`${dir}/token`, `${SECRET}\n`, { mode: 0o600 });
  const seen: string[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key, onListen() {} },
    (request) => {
      seen.push(request.headers.get("authorization") ?? "");
      return new Response(`you sent ${request.headers.get("authorization")}\n`);
    },
  );
  const before = sockets();
  try {
    await body({
      dir,
      port: server.addr.port,
      seen,
      async run(...args) {
        const { code, stdout, stderr } = await new Deno.Command("sh", {
          args: [`${ROOT}/tasks/bureau`, "sandbox", "run", ...args],
          cwd: dir,
          env: {
            BUREAU_STATE_DIR: `${dir}/s`,
            BUREAU_RUN_DIR: `${dir}/r`,
            BUREAU_DENO: Deno.execPath(),
            // What `deno task` leaves of its own caller's directory is not this caller's.
            INIT_CWD: dir,
          },
          stdin: "null",
        }).output();
        const text = new TextDecoder();
        return { code, out: text.decode(stdout), err: text.decode(stderr) };
      },
    });
    await waitFor("its sockets are gone", () => [...sockets()].every((name) => before.has(name)));
  } finally {
    await server.shutdown();
    await Deno.remove(dir, { recursive: true });
  }
}

function sockets(): Set<string> {
  const names = [...Deno.readDirSync("/tmp")].map(({ name }) => name);
  return new Set(names.filter((name) => name.startsWith("bureau-run.")));
}

const GET = 'curl -sS -H "Authorization: Bearer $TOKEN"';

Deno.test("a program uses a credential at its host, never sees it, and reaches nothing else", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  if (await lacks(t, "/usr/bin/curl", "curl")) return;
  await withBed(async ({ run, port, seen, dir }) => {
    const script = `export NO_PROXY= no_proxy=
      ${GET} https://localhost:${port}/
      ${GET} https://elsewhere.test/
      ${GET} https://elsewhere.test/
      env; find /run /etc /tmp /workspace -type f -exec cat {} + 2>/dev/null; exit 9`;
    const { code, out, err } = await run(
      ...["--credential", `TOKEN=token@localhost:${port}`, "--ca", "ca.pem"],
      ...["--", "sh", "-c", script],
    );
    assert.equal(code, 9, err);
    assert.deepEqual(seen, [`Bearer ${SECRET}`]);
    // The server echoes what it got: the answer comes without it.
    assert.match(out, /^you sent Bearer \*+$/m);
    assert.match(out, /^TOKEN=bureau-placeholder-token-[0-9a-f]{32}$/m);
    assert.ok(!out.includes(SECRET) && !err.includes(SECRET));
    assert.match(
      err,
      /^bureau: refused elsewhere\.test:443; to allow it: --allow-host elsewhere\.test \(2 times\)$/m,
    );
    // Control: where nothing is swapped the server gets the placeholder, and tells it.
    const blind = await run(
      ...["--allow-host", `localhost:${port}`, "--ca", "ca.pem", "--", "sh", "-c"],
      `NO_PROXY= no_proxy= curl -sS -H 'Authorization: Bearer plain' https://localhost:${port}/`,
    );
    assert.equal(blind.out, "you sent Bearer plain\n", blind.err);
    assert.ok(![...Deno.readDirSync(dir)].some(({ name }) => name === "r"));
  });
});

Deno.test("what can't be allowed or read is refused before anything runs", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await withBed(async ({ run, dir }) => {
    await Deno.writeTextFile(`${dir}/empty`, "\n");
    for (
      const [args, expected] of [
        [["--allow-host", "https://x.org/"], /is no host, HOST:PORT or preset:NAME/],
        [["--allow-host", "preset:nope"], /no such preset\nhint: there are .*npm/],
        [["--credential", "T=missing@x.org"], /Cannot read ".*\/missing"/],
        [["--credential", `T=${dir}@x.org`], /Cannot read/],
        [["--credential", "T@x.org"], /it is not NAME=FILE@HOST/],
        [["--credential", "T=empty@x.org"], /its file is empty/],
        [["--credential", "T=token@*.example.org"], /name each host in full/],
        [["--credential", "T=token@preset:npm"], /name each host in full/],
        [["--credential", "not-a-variable=token@x.org"], /it is not NAME=FILE@HOST/],
      ] as const
    ) {
      const { code, out, err } = await run(...args, "--", "echo", "ran");
      assert.notEqual(code, 0, args.join(" "));
      assert.match(err, expected);
      assert.equal(out, "", args.join(" "));
      assert.ok(!err.includes(SECRET));
    }
  });
});
