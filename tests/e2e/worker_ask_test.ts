// SPDX-License-Identifier: Apache-2.0

/** A call of a person's own worker, asked in the machine's room, and answered from there or by a command. */
import assert from "node:assert/strict";
import { eventually, ROOT, step, withBureau } from "./harness.ts";
import { matrix, type MatrixEvent, messages, roomId } from "./matrix.ts";

const SLOW_MS = 120_000;
/** Asks leave for one command, as Claude Code does, and says what it was told. */
const ASKER = `read assignment
printf '{"type":"control_request","request_id":"1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"%s"}}}\\n' "$1"
read answer
case "$answer" in *'"allow"'*) said=allowed ;; *) said=denied ;; esac
printf '{"type":"result","subtype":"success","is_error":false,"result":"%s"}\\n' "$said"
while read more; do :; done
`;

interface Listed {
  readonly pending: readonly { id: string; resource: string; principal: string }[];
  readonly ended: readonly { resource: string; state: string }[];
}

Deno.test("worker run --ask room: leave comes by a reaction, or by a command; who gave up leaves a void question", async (t) => {
  await withBureau(async (bureau) => {
    const up = await bureau.up("--detach", "--no-agent");
    assert.equal(up.code, 0, up.stderr);
    const { machine } = (await bureau.json<{ daemon: { machine: string } }>("status")).daemon;
    const configRoom = await roomId(bureau, machine.slice(1).split(":")[0]!);

    const start = (command: string) =>
      new Deno.Command("sh", {
        args: [
          ...[`${ROOT}/tasks/bureau`, "--state-dir", bureau.stateDir, "--run-dir", bureau.runDir],
          ...["worker", "run", "--ask", "room", "--assignment", "x", "--"],
          ...["sh", "-c", ASKER, "asker", command],
          ...["--input-format", "stream-json", "--output-format", "stream-json"],
        ],
        env: { BUREAU_DENO: Deno.execPath(), INIT_CWD: bureau.repo },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    const question = (command: string): Promise<MatrixEvent> =>
      eventually(
        `a question about ${command}`,
        async () =>
          (await messages(bureau, configRoom)).find(({ content }) =>
            (content["m.bureau.tool_approval"] as { resource?: string } | undefined)?.resource ===
              command && content["m.new_content"] === undefined
          ),
        SLOW_MS,
      );
    const saidBy = async (child: Deno.ChildProcess) => {
      const { code, stdout, stderr } = await child.output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      assert.equal(code, 0, text(stderr));
      return text(stdout);
    };

    await step(t, bureau, "a reaction", async () => {
      const child = start("deploy-1");
      const about = await question("deploy-1");
      assert.match(String(about.content["body"]), /^a worker of @\S+ asks whether it may call/);
      await matrix(bureau, `rooms/${encodeURIComponent(configRoom)}/send/m.reaction/ask-1`, {
        method: "PUT",
        body: {
          "m.relates_to": { rel_type: "m.annotation", event_id: about.event_id, key: "✅" },
        },
      });
      assert.equal(await saidBy(child), "allowed\n");
    });

    await step(t, bureau, "a command", async () => {
      const child = start("deploy-2");
      await question("deploy-2");
      const { pending } = await bureau.json<Listed>("agent", "approvals");
      const { id } = pending.find(({ resource }) => resource === "deploy-2")!;
      const denied = await bureau.cli("agent", "deny", id.slice(0, 6));
      assert.equal(denied.code, 0, denied.stderr);
      assert.equal(await saidBy(child), "denied\n");
    });

    await step(t, bureau, "whoever is interrupted waits no more", async () => {
      const child = start("deploy-3");
      await question("deploy-3");
      // Its shell became the parent.
      child.kill("SIGTERM");
      await child.output();
      await eventually("the question is void", async () => {
        const { ended } = await bureau.json<Listed>("agent", "approvals");
        return ended.some(({ resource, state }) => resource === "deploy-3" && state === "failed");
      }, SLOW_MS);
    });
  });
});
