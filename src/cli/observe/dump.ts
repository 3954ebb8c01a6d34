// SPDX-License-Identifier: Apache-2.0

/** `observe --dump`: one screen as text, as it is or as it was. */
import { neutraliseLine } from "../../lib/terminal/mod.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import type { Incoming } from "./incoming.ts";
import { Screen } from "./screen.ts";
import { ObserveStream, type Viewer } from "./stream.ts";

/** How long the relay may take for one screen. */
const DEADLINE_MS = 20_000;

export async function dumpScreen(
  call: Invocation,
  connect: (query: Record<string, string>) => Promise<Incoming>,
  principal: string,
  since: number | undefined,
) {
  const answer = Promise.withResolvers<readonly string[]>();
  const failed = (why: string) =>
    answer.reject(new CliError("no-screen", `Cannot observe "${principal}": ${why}`));
  const screen = new Screen({ cols: 80, rows: 24 });
  const stop = new AbortController();
  const viewer: Viewer = {
    metadata: () => void (since === undefined && stream.send({ type: "screen" })),
    // The screen as of then comes first.
    snapshot: (size, bytes) => {
      if (since === undefined) return;
      screen.snapshot(size, bytes);
      answer.resolve(screen.lines());
    },
    screen: (lines) => answer.resolve(lines),
    output: () => {},
    size: () => {},
    gap: () => {},
    people: () => {},
    mode: () => {},
    bell: () => {},
    title: () => {},
    lost: () => {},
  };
  const stream = new ObserveStream(viewer, {
    mode: "readonly",
    size: () => ({ cols: 80, rows: 24 }),
    ...(since === undefined ? {} : { since }),
    connect: () => {
      throw new Error("one connection is enough");
    },
    over: () => Promise.resolve("the connection ended"),
    signal: stop.signal,
  });
  const deadline = AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), call.signal]);
  deadline.addEventListener("abort", () => failed("no answer in time"), { once: true });
  const running = stream.run(await connect(stream.query())).then((why) => failed(String(why)));
  try {
    const lines = [...await answer.promise];
    while (lines.at(-1) === "") lines.pop();
    for (const line of lines) call.print(neutraliseLine(line));
    return { principal, lines };
  } finally {
    stop.abort();
    await running;
    screen.dispose();
  }
}
