// SPDX-License-Identifier: Apache-2.0

/** An escrow key under a passphrase is a file of age's: the `age` program opens it, and what that locks is opened here. */
import assert from "node:assert/strict";
import { lacks } from "../../lib/testing/skip.ts";
import { locked, unlocked } from "./escrow.ts";

const AGE = "/usr/bin/age";
const SCRIPT = "/usr/bin/script";
const KEY = `AGE-SECRET-KEY-1${"Q".repeat(58)}\n`;
const WITHIN_MS = 120_000;

/** Runs age on a terminal of its own, where it asks for the passphrase. @returns what it said */
async function age(args: string, passphrase: string, times: number): Promise<[number, string]> {
  const child = new Deno.Command(SCRIPT, {
    args: ["--quiet", "--return", "--command", `${AGE} ${args}`, "/dev/null"],
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", TERM: "dumb" },
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const timer = setTimeout(() => child.kill("SIGKILL"), WITHIN_MS);
  const writer = child.stdin.getWriter();
  let said = "";
  let answered = 0;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    // Only then does it listen without an echo.
    const asked = said.match(/passphrase[^\n:]*: /g)?.length ?? 0;
    for (; answered < Math.min(asked, times); answered++) {
      await writer.write(new TextEncoder().encode(`${passphrase}\n`)).catch(() => {});
    }
  }
  const { code } = await child.status;
  clearTimeout(timer);
  await writer.close().catch(() => {});
  return [code, said];
}

Deno.test("the age program opens a locked escrow key, and what it locks is opened here", async (t) => {
  if (await lacks(t, AGE, "age") || await lacks(t, SCRIPT, "bsdutils")) return;
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-age" });
  try {
    await Deno.writeTextFile(`${dir}/ours`, await locked(KEY, "correct horse"));
    const [code, said] = await age(`-d -o ${dir}/opened ${dir}/ours`, "correct horse", 1);
    assert.equal(code, 0, said);
    assert.equal(await Deno.readTextFile(`${dir}/opened`), KEY);
    // Control.
    const [wrong, complaint] = await age(`-d -o ${dir}/none ${dir}/ours`, "wrong horse", 1);
    assert.notEqual(wrong, 0, complaint);
    await assert.rejects(Deno.stat(`${dir}/none`), Deno.errors.NotFound);

    await Deno.writeTextFile(`${dir}/plain`, KEY);
    const [made, told] = await age(`-p -a -o ${dir}/theirs ${dir}/plain`, "another horse", 2);
    assert.equal(made, 0, told);
    const theirs = await Deno.readTextFile(`${dir}/theirs`);
    assert.equal(await unlocked(theirs, "another horse"), KEY);
    await assert.rejects(unlocked(theirs, "correct horse"), { code: "wrong-passphrase" });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
