// SPDX-License-Identifier: Apache-2.0

/**
 * The permission audit: what each process was observed to use lies within its declared set, and what
 * is declared is used. Deno's audit log does not record `run`; permissions_test.ts tries those.
 */
import assert from "node:assert/strict";
import {
  grantFlags,
  type GrantValues,
  parseGrants,
  type Role,
  ROLES,
} from "../../src/lib/process/mod.ts";
import { startServiceCell } from "../../src/launcher/cells.ts";
import { buildRuntime } from "../../src/launcher/testing/runtime.ts";
import { EMBEDDED, eventually, ROOT, withBureau } from "./harness.ts";
import { roomId, SCRIBE, stateEvents } from "./matrix.ts";

type Kind = "read" | "write" | "net" | "env" | "sys";

async function declared(role: Role, values: GrantValues): Promise<Map<Kind, string[] | true>> {
  const { permissions } = JSON.parse(await Deno.readTextFile(`${ROOT}/deno.json`));
  const sets = new Map<Kind, string[] | true>(
    Object.entries(permissions[role]) as [Kind, string[] | true][],
  );
  const grants = parseGrants(await Deno.readTextFile(`${ROOT}/tasks/grants.txt`), values);
  for (const flag of grantFlags(grants, role)) {
    const [, kind, list] = /^--allow-(\w+)=(.*)$/.exec(flag)!;
    const before = sets.get(kind as Kind);
    if (before !== true) sets.set(kind as Kind, [...(before ?? []), ...list!.split(",")]);
  }
  return sets;
}

function covers(kind: Kind, list: string[] | true | undefined, value: string): boolean {
  if (list === true) return true;
  return (list ?? []).some((granted) =>
    granted === value ||
    ((kind === "read" || kind === "write") && value.startsWith(`${granted}/`))
  );
}

/** `fetch` logs whole URLs; a permission is about their host and port. */
function hostOf(value: string): string {
  const url = /^https?:/.test(value) ? URL.parse(value) : null;
  if (url === null) return value;
  return `${url.hostname}:${url.port || (url.protocol === "https:" ? 443 : 80)}`;
}

/**
 * Those that no Bureau on a dev box runs. Bridge and gate are looked at alone, below; what a worker and its parent get
 * is written for each run, and tests/e2e/permissions_test.ts tries what they must not have.
 */
const ALONE: readonly Role[] = ["bridge", "gate", "mcp", "parent", "resident", "worker"];

/** What was used beyond the set, and how much was used at all. */
async function audited(
  file: string,
  role: Role,
  values: GrantValues,
): Promise<{ beyond: string[]; count: number }> {
  const sets = await declared(role, values);
  const used = new Set<string>();
  // What is killed while it writes leaves a last line without an end.
  for (const line of (await Deno.readTextFile(file)).split("\n").slice(0, -1)) {
    const { permission, value } = JSON.parse(line) as { permission: Kind; value: string | null };
    // A worker that gets a part of a list: Deno first looks whether all of it is to be had. No use of it.
    if (value === null) continue;
    used.add(`${permission} ${permission === "net" ? hostOf(value) : value}`);
  }
  const beyond = [...used].filter((entry) => {
    const [kind, ...rest] = entry.split(" ");
    return !covers(kind as Kind, sets.get(kind as Kind), rest.join(" "));
  });
  return { beyond, count: used.size };
}

Deno.test("a bridge and a gate use nothing beyond their permission sets", async () => {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-aud" });
  try {
    const runtime = await buildRuntime();
    await Deno.mkdir(`${dir}/audit`);
    await Deno.mkdir(`${dir}/egress`);
    const documents = { bridge: {}, gate: { principal: "p", allow: ["localhost:9"], deny: [] } };
    for (const role of ["bridge", "gate"] as const) {
      const cell = await startServiceCell(
        role,
        runtime,
        [{ source: `${dir}/egress`, dest: "/run/bureau/egress" }],
        documents[role],
        () => {},
        `${dir}/audit`,
      );
      if (role === "gate") {
        // It resolves and connects: to a port of loopback where nobody listens.
        const gate = await Deno.connect({ transport: "unix", path: `${dir}/egress/egress.sock` });
        await gate.write(new TextEncoder().encode("CONNECT localhost:9 HTTP/1.1\r\n\r\n"));
        assert.match(await new Response(gate.readable).text(), /^HTTP\/1\.1 502 /);
      }
      cell.kill("SIGKILL");
      await cell.exited;
      const unused = { STATE: dir, RUN: dir, RUNTIME: dir, DENO: dir };
      const { beyond, count } = await audited(`${dir}/audit/${role}.jsonl`, role, unused);
      assert.deepEqual(beyond, [], `${role} asked for more than its set`);
      assert.ok(count > 0, `${role} left an empty audit log`);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("every process uses nothing beyond its permission set", async () => {
  await withBureau(async (bureau) => {
    const audit = `${bureau.stateDir}-audit`;
    await Deno.mkdir(audit);
    await Deno.chmod(audit, 0o1777);
    const started = await bureau.up("--detach", "--audit-dir", audit);
    assert.equal(started.code, 0, started.stdout + started.stderr);
    const room = await roomId(bureau, SCRIBE);
    await eventually(
      "the agent works",
      async () => (await stateEvents(bureau, room, "m.bureau.report"))[0],
      30_000,
    );
    assert.equal((await bureau.cli("observe", "agent/scribe", "--dump")).code, 0);
    const { urls } = await bureau.json<{ urls: string[] }>("web");
    const page = await (await fetch(new URL("/", urls[0]!))).text();
    assert.match(page, /^<!doctype html>/);
    await bureau.down();
    const address = (port: number) => `127.0.0.1:${port}`;
    for (const role of ROLES) {
      if (ALONE.includes(role) || (role === "homeserver" && !EMBEDDED)) continue;
      const runtime = `${bureau.stateDir}/runtime`;
      const { beyond, count } = await audited(`${audit}/${role}.jsonl`, role, {
        STATE: bureau.stateDir,
        RUN: bureau.runDir,
        // What a person starts runs from the checkout, the rest from the installed copy.
        RUNTIME: role === "up" ? `${ROOT}/dist` : runtime,
        DENO: role === "up" ? await Deno.realPath(Deno.execPath()) : `${runtime}/deno`,
        LISTEN: address(bureau.ports.homeserver),
        AUTHORITY: address(bureau.ports.authority),
        HOMESERVER: new URL(bureau.homeserver.url).host,
        REPO: bureau.repo,
        ...(bureau.homeserver.tokenFile === null ? {} : { TOKENFILE: bureau.homeserver.tokenFile }),
      });
      assert.deepEqual(beyond, [], `${role} asked for more than its set`);
      assert.ok(count > 0, `${role} left an empty audit log`);
    }
    await Deno.remove(audit, { recursive: true });
  });
});
