// SPDX-License-Identifier: Apache-2.0

/** A role's socket with services that end, change, and don't answer. */
import assert from "node:assert/strict";
import { systemClock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/log.ts";
import { MAX_CONNECTIONS, RoleSocket } from "./role_socket.ts";

interface Stage {
  readonly role: RoleSocket;
  connect(): Promise<Deno.UnixConn>;
  /** A service that says its name and what it heard, when it heard all. @returns ends it */
  serve(name: string): () => void;
  /** Socket of each service, by name. */
  readonly sockets: Map<string, string>;
}

async function stage(use: (stage: Stage) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-rs" });
  const sockets = new Map<string, string>();
  const running = new Set<Deno.UnixListener>();
  const role = new RoleSocket({
    ...{ path: `${dir}/echo.sock`, caller: "bureau/fleet/dev/agent/a", role: "echo" },
    offer: (service) => {
      const socket = sockets.get(service);
      return socket === undefined ? Promise.reject(new Error("none yet")) : Promise.resolve(socket);
    },
    clock: systemClock,
    log: createLogger("test", {}, () => {}),
  });
  let made = 0;
  try {
    await role.listen();
    await use({
      role,
      sockets,
      connect: () => Deno.connect({ transport: "unix", path: `${dir}/echo.sock` }),
      serve: (name) => {
        const path = `${dir}/${++made}`;
        const listener = Deno.listen({ transport: "unix", path });
        running.add(listener);
        answerAll(name, listener);
        sockets.set(name, path);
        return () => {
          running.delete(listener);
          listener.close();
        };
      },
    });
  } finally {
    role.close();
    for (const listener of running) listener.close();
    await Deno.remove(dir, { recursive: true });
  }
}

async function answerAll(name: string, listener: Deno.UnixListener): Promise<void> {
  for await (const connection of listener) {
    readAll(connection).then(async (heard) => {
      await connection.write(new TextEncoder().encode(`${name} heard ${heard}`));
      connection.close();
    }).catch(() => {});
  }
}

async function readAll(connection: Deno.UnixConn): Promise<string> {
  let text = "";
  const buffer = new Uint8Array(1024);
  for (let n = await connection.read(buffer); n !== null; n = await connection.read(buffer)) {
    text += new TextDecoder().decode(buffer.subarray(0, n));
  }
  return text;
}

/** Says something, ends its half, reads the answer. */
async function ask(connection: Deno.UnixConn, text: string): Promise<string> {
  await connection.write(new TextEncoder().encode(text));
  await connection.closeWrite();
  try {
    return await readAll(connection);
  } finally {
    connection.close();
  }
}

Deno.test("each connection reaches whom the role is bound to then; a half that ends is passed on (W-10, W-13)", async () => {
  await stage(async ({ role, connect, serve }) => {
    serve("one");
    serve("two");
    role.bind("one");
    assert.equal(await ask(await connect(), "hello"), "one heard hello");
    role.bind("two");
    assert.equal(await ask(await connect(), "hello"), "two heard hello");
  });
});

Deno.test("a binding that changes cuts what led to the old service, and nobody bound means nobody", async () => {
  await stage(async ({ role, connect, serve }) => {
    serve("one");
    role.bind("one");
    using held = await connect();
    await held.write(new TextEncoder().encode("never ends"));
    role.bind(null);
    assert.equal(await held.read(new Uint8Array(1)).catch(() => null), null);
    using refused = await connect();
    assert.equal(await refused.read(new Uint8Array(1)).catch(() => null), null);
  });
});

Deno.test("a service that comes later, or comes back elsewhere, is waited for", async () => {
  await stage(async ({ role, connect, serve }) => {
    role.bind("late");
    const early = ask(await connect(), "early");
    const end = serve("late");
    assert.equal(await early, "late heard early");
    end();
    const again = ask(await connect(), "again");
    serve("late");
    assert.equal(await again, "late heard again");
  });
});

Deno.test("a caller that holds all its connections has no more, until it lets go of one", async () => {
  await stage(async ({ role, connect, serve }) => {
    serve("one");
    role.bind("one");
    const held = await Promise.all(Array.from({ length: MAX_CONNECTIONS }, connect));
    try {
      // Both halves of each are there only after they were joined.
      const deadline = Date.now() + 30_000;
      let isRefused = false;
      while (!isRefused && Date.now() < deadline) {
        const answer = await ask(await connect(), "x").catch(() => "");
        isRefused = answer === "";
      }
      assert.ok(isRefused);
    } finally {
      for (const connection of held) connection.close();
    }
    const deadline = Date.now() + 30_000;
    let answer = "";
    while (answer === "" && Date.now() < deadline) {
      answer = await ask(await connect(), "x").catch(() => "");
    }
    assert.equal(answer, "one heard x");
  });
});
