// SPDX-License-Identifier: Apache-2.0

/** `bureau worker serve`, and `worker run --remote` to it, as people use them: two states, TLS, real sandboxes. */
import assert from "node:assert/strict";
import { skip } from "../../src/lib/testing/skip.ts";
import { eventually, freePort } from "../e2e/harness.ts";
import { unreachable } from "./reach.ts";
import { Place, processes } from "./worker_place.ts";

interface Announced {
  readonly endpoint: string;
  readonly pin: string;
  readonly token: string | null;
}

/** A machine that takes workers. */
class Resident implements AsyncDisposable {
  private constructor(
    readonly child: Deno.ChildProcess,
    readonly announced: Announced,
    readonly words: Promise<string>,
  ) {}

  static async start(place: Place, ...args: string[]): Promise<Resident> {
    const child = place.spawn("serve", "--json", ...args);
    await child.stdin.close();
    const words = new Response(child.stderr).text();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`it does not serve: ${await words}`);
      text += value;
    }
    void reader.cancel();
    return new Resident(child, JSON.parse(text), words);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGTERM");
    } catch {
      // It was killed by the test.
    }
    await this.child.status;
    await this.words;
  }
}

Deno.test("worker serve: a parent elsewhere gets a worker in a sandbox there, and strangers none", async (t) => {
  const why = await unreachable();
  if (why !== null) return await skip(t, why);
  await using there = await Place.make();
  await using here = await Place.make();
  await Deno.mkdir(`${there.dir}/docs`);
  await Deno.chmod(`${there.dir}/docs`, 0o755);
  await Deno.writeTextFile(`${there.dir}/docs/a.txt`, "of that machine\n");
  await Deno.writeTextFile(`${there.dir}/outside`, "secret");
  const listen = ["--listen", `127.0.0.1:${freePort()}`];
  const flags = [...listen, "--ro", "docs:/docs", "--timeout", "60"];
  let known: Announced;
  {
    await using resident = await Resident.start(there, ...flags);
    known = resident.announced;
    assert.match(known.token ?? "", /^[\w-]{43}$/);
    await Deno.writeTextFile(`${here.dir}/token`, `${known.token}\n`);
    const way = ["--remote", known.endpoint, "--pin", known.pin, "--token-file", "token"];
    await t.step("by a spec's own placement: a program sees that machine's sandbox", async () => {
      await Deno.writeTextFile(
        `${here.dir}/spec.json`,
        JSON.stringify({
          identity: { child_id: "c", role: "reader" },
          workspace: "/docs",
          placement: { kind: "remote", endpoint: known.endpoint },
        }),
      );
      const script = `cat a.txt; ls ${there.dir} ${here.dir} 2>&1 | grep -c outside; id -un`;
      const done = await here.run(
        [
          "run",
          "--spec",
          "spec.json",
          ...way.slice(2),
          "--assignment",
          "x",
          "--",
          "sh",
          "-c",
          script,
        ],
      );
      assert.deepEqual(done, { code: 0, out: "of that machine\n0\nagent\n", err: "" });
    });
    await t.step("another certificate, and what is not to be had", async () => {
      const refused = async (args: string[], said: RegExp) => {
        const { code, out, err } = await here.run(["run", "--assignment", "x", ...args]);
        assert.match(err, said);
        assert.deepEqual([code === 0, out], [false, ""]);
      };
      const other = `sha256:${"1".repeat(64)}`;
      await refused([...way.with(3, other)], /its certificate is sha256:[0-9a-f]{64}, not/);
      await Deno.writeTextFile(
        `${here.dir}/spec.json`,
        JSON.stringify({ capabilities: { bypass: true } }),
      );
      await refused([...way, "--spec", "spec.json"], /bypass is not to be had there/);
    });
    await t.step("whose parent is killed, is gone", async () => {
      const mark = `63${crypto.getRandomValues(new Uint32Array(1))[0]}`;
      const child = here.spawn("run", ...way, "--assignment", "x", "--", "sleep", mark);
      await child.stdin.close();
      await runs(mark);
      child.kill("SIGKILL");
      await child.status;
      await nothing(mark);
      await child.stdout.cancel();
      await child.stderr.cancel();
      const control = await here.run(["run", ...way, "--assignment", "x"]);
      assert.deepEqual(control, { code: 0, out: "echo: x\n", err: "" }, "others are served");
    });
    await t.step("whose machine is killed, ends for both", async () => {
      const mark = `64${crypto.getRandomValues(new Uint32Array(1))[0]}`;
      const running = here.run(["run", ...way, "--assignment", "x", "--", "sleep", mark]);
      await runs(mark);
      resident.child.kill("SIGKILL");
      const { code, err } = await running;
      assert.equal(code, 1);
      assert.match(err, /^error: Cannot finish assignment 1: /);
      await nothing(mark);
    });
  }
  await t.step("it is known by the same certificate and token afterwards", async () => {
    const kept = await Deno.readTextFile(`${there.dir}/s/operator/resident.json`);
    assert.equal(kept.includes(known.token!), false, "the token is kept nowhere");
    await using again = await Resident.start(there, ...listen);
    assert.deepEqual(again.announced, { ...known, token: null });
  });
});

/** A sandbox's program of these very arguments; shells and CLIs have them among theirs. */
async function runs(mark: string): Promise<void> {
  await eventually("its program runs", async () => {
    for (const pid of await processes(mark)) {
      const line = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
      if (line === `/usr/bin/sleep\0${mark}\0`) return true;
    }
    throw new Error("not yet");
  });
}

async function nothing(mark: string): Promise<void> {
  await eventually("nothing of it is left", async () => {
    const left = await processes(mark);
    if (left.length > 0) throw new Error(`${left}`);
    return true;
  });
}
