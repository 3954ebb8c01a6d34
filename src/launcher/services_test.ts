// SPDX-License-Identifier: Apache-2.0

/** A service's socket, from its sandbox to the daemon; what its callers find. */
import assert from "node:assert/strict";
import type { Template } from "../lib/schema/events.ts";
import { type Bed, eventually, withLauncher } from "./testing/harness.ts";

async function start(bed: Bed, name: string, script: string, change: Template = {}) {
  const template = await bed.template(name, script);
  await bed.create(name, await bed.request(name, { template: { ...template, ...change } }));
}

async function offer(bed: Bed, name: string): Promise<string> {
  const { socket } = await bed.launcher.client.call("offer", {
    params: { principal: `bureau/fleet/dev/agent/${name}` },
  });
  return socket;
}

async function greeting(socket: string): Promise<string> {
  using connection = await Deno.connect({ transport: "unix", path: socket });
  const buffer = new Uint8Array(64);
  const length = await connection.read(buffer);
  return new TextDecoder().decode(buffer.subarray(0, length ?? 0));
}

/** Greets each that connects; the second life says so. */
const LISTENER = `
const path = "/run/bureau/listen/service.sock";
for (const life of ["one", "two"]) {
  await Deno.remove(path).catch(() => {});
  const listener = Deno.listen({ transport: "unix", path });
  await Deno.writeTextFile("/workspace/life", life);
  for await (const connection of listener) {
    const stop = await Deno.stat("/workspace/next").catch(() => null);
    await connection.write(new TextEncoder().encode(life));
    connection.close();
    if (life === "one" && stop !== null) break;
  }
  try { listener.close() } catch { /* the break closed it */ }
}`;

Deno.test("a service's socket is offered under a name of ours, and offered anew when it was made anew", async () => {
  await withLauncher(async (bed) => {
    await start(
      bed,
      "service",
      `ls -A /run/bureau >/workspace/ls; exec /opt/bureau/deno eval '${LISTENER}'`,
      { service: {}, bridge: true, environment_variables: { HOME: "/tmp" } },
    );
    // A socket has its name (bind) before it takes connections (listen).
    const socket = await eventually("the service is offered, and answers", async () => {
      const offered = await offer(bed, "service").catch(() => null);
      if (offered === null || await greeting(offered).catch(() => "") !== "one") return null;
      return offered;
    });
    assert.equal(await offer(bed, "service"), socket);
    assert.equal(await greeting(socket), "one");
    const workspace = (await bed.read("service", "ls")).split("\n");
    assert.ok(workspace.includes("listen") && workspace.includes("service"), workspace.join());

    await Deno.writeTextFile(`${await bed.workspace("service")}/next`, "");
    assert.equal(await greeting(socket), "one");
    await eventually(
      "its next life is offered",
      async () => await offer(bed, "service").then(greeting).catch(() => "") === "two",
    );
  });
});

Deno.test("a service leads nobody to a socket that is not its own", async () => {
  await withLauncher(async (bed) => {
    const target = `${bed.dir}/launcher/launcher.sock`;
    await start(
      bed,
      "hostile",
      `cd /run/bureau/listen; touch /workspace/ready
       ln -s '${target}' service.sock && touch /workspace/linked
       while [ ! -e /workspace/next ]; do sleep 0.05; done
       rm service.sock; echo >service.sock; touch /workspace/plain
       exec sleep 600`,
      { service: {} },
    );
    await bed.read("hostile", "linked");
    await assert.rejects(offer(bed, "hostile"), { code: "no-socket", message: /is no socket/ });
    await Deno.writeTextFile(`${await bed.workspace("hostile")}/next`, "");
    await bed.read("hostile", "plain");
    await assert.rejects(offer(bed, "hostile"), { code: "no-socket", message: /is no socket/ });
    // Control: what it pointed at is a socket that answers.
    (await Deno.connect({ transport: "unix", path: target })).close();
  });
});

Deno.test("a caller reads its directory of services and can't write there; others have none", async () => {
  await withLauncher(async (bed) => {
    const script = `ls -A /run/bureau >/workspace/ls
      touch /run/bureau/service/x 2>/dev/null && echo written >>/workspace/ls; exit 0`;
    await start(bed, "caller", script, { required_services: ["echo"] });
    assert.equal((await bed.wait("caller")).code, 0);
    const seen = (await bed.read("caller", "ls")).trim().split("\n");
    assert.ok(seen.includes("service"), seen.join());
    assert.ok(!seen.includes("listen") && !seen.includes("written"), seen.join());
    await assert.rejects(offer(bed, "caller"), { code: "not-running" });

    await start(bed, "other", script);
    assert.equal((await bed.wait("other")).code, 0);
    assert.ok(!(await bed.read("other", "ls")).includes("service"));

    const bad = { required_services: ["../admin"] };
    await assert.rejects(start(bed, "bad", script, bad), { code: "bad-role" });
  });
});
