// SPDX-License-Identifier: Apache-2.0

/**
 * `worker approver`: asks people for the parent of their workers, on this terminal or in the machine's room. A process
 * of its own, because the parent has no terminal, no session and, where root starts it, not even the same user.
 */
import { approverApi, type ApproverQuestion } from "../../agent/parent/api.ts";
import type { Answer } from "../../lib/approval/types.ts";
import { createHandler, listenUnix } from "../../lib/http/mod.ts";
import { neutraliseLine } from "../../lib/terminal/neutralise.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { daemonClient, loadSession } from "../session.ts";
import { TerminalQuestions } from "./questions.ts";
import { askRoom } from "./room.ts";

type Ask = (question: ApproverQuestion, signal: AbortSignal) => Promise<Answer>;

/** A root's parent is another user, whose death the kernel does not signal to us. */
const LOOK_AGAIN_MS = 250;

export const approver: CommandHandler = async (call) => {
  const signal = AbortSignal.any([call.signal, goneWith(Number(call.flags["parent"]))]);
  const ask = call.flags["ask"] === "room" ? await inRoom(call) : onTerminal();
  const server = await listenUnix(
    String(call.flags["socket"]),
    createHandler(approverApi, {
      ask: ({ body, request }) => ask(body, AbortSignal.any([request.signal, signal])),
    }),
    // The parent may be another user; who else gets there its directory says.
    { mode: 0o666, signal },
  );
  await server.finished;
};

function goneWith(parent: number): AbortSignal {
  const gone = new AbortController();
  const timer = setInterval(() => {
    if (Deno.ppid === parent) return;
    clearInterval(timer);
    gone.abort();
  }, LOOK_AGAIN_MS);
  return gone.signal;
}

function onTerminal(): Ask {
  const encoder = new TextEncoder();
  const questions = new TerminalQuestions({
    input: Deno.stdin.readable,
    write: (text) => void Deno.stdout.writeSync(encoder.encode(text)),
  });
  return (question, signal) => questions.ask(question, signal);
}

async function inRoom(call: Invocation): Promise<Ask> {
  const session = await loadSession(call);
  const daemon = daemonClient(call, session);
  return async ({ tool, permission, resource }, signal) => {
    const what = neutraliseLine(`${tool} (${permission}): ${resource}`);
    console.error(`asked in the machine's room: ${what}`);
    const answer = await askRoom(daemon, { tool, permission, resource }, signal);
    console.error(`${answer.approved ? "allowed" : "refused"}: ${neutraliseLine(answer.why)}`);
    return answer;
  };
}
