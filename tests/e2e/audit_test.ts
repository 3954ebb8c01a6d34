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
    await bureau.down();
    const address = (port: number) => `127.0.0.1:${port}`;
    for (const role of ROLES) {
      if (role === "homeserver" && !EMBEDDED) continue;
      const runtime = `${bureau.stateDir}/runtime`;
      const sets = await declared(role, {
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
      const lines = (await Deno.readTextFile(`${audit}/${role}.jsonl`)).trim().split("\n");
      const used = new Set<string>();
      for (const line of lines) {
        const { permission, value } = JSON.parse(line) as { permission: Kind; value: string };
        used.add(`${permission} ${permission === "net" ? hostOf(value) : value}`);
      }
      const beyond = [...used].filter((entry) => {
        const [kind, ...rest] = entry.split(" ");
        return !covers(kind as Kind, sets.get(kind as Kind), rest.join(" "));
      });
      assert.deepEqual(beyond, [], `${role} asked for more than its set`);
      assert.ok(used.size > 0, `${role} left an empty audit log`);
    }
    await Deno.remove(audit, { recursive: true });
  });
});
