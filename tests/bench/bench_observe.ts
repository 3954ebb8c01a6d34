// SPDX-License-Identifier: Apache-2.0

/**
 * Observation on a whole Bureau: a key's way to the agent and back against a plain `tmux attach`, the
 * relay's memory, and what five watchers of a flood cost the agent that makes it.
 */
import { daemonApi } from "../../src/daemon/api.ts";
import { createClient } from "../../src/lib/http/mod.ts";
import { decodeFrame, encodeFrame, OBSERVE_PROTOCOL } from "../../src/observe/api.ts";
import { type Bureau, eventually, findProcess, withBureau } from "../e2e/harness.ts";
import { bureauTemplate, signAssignment, waitForFile } from "./assignments.ts";
import { AttachedTmux, keyLatency, type KeyWay } from "./observe_keys.ts";
import { memoryOf, percentile, report } from "./report.ts";

const KEYS = 1_000;
const FLOOD_BYTES = 10_000_000;
const FLOOD_ROUNDS = 5;
const WATCHERS = 5;
const FLEET = "bureau/fleet/dev";

/** Floods its terminal each time that `go` appears, and writes the nanoseconds that it took. */
const FLOODER = [
  "/bin/sh",
  "-c",
  `while :; do
    until mv -f /workspace/go /workspace/gone 2>/dev/null; do sleep 0.02; done
    start=$(date +%s%N)
    yes | head -c ${FLOOD_BYTES}
    end=$(date +%s%N)
    echo $((end - start)) >/workspace/took.new
    mv /workspace/took.new /workspace/took
  done`,
];

/** @returns its workspace on the host */
async function runAgent(bureau: Bureau, name: string, command: string[]): Promise<string> {
  await bureauTemplate(bureau, name, {
    inherits: ["bureau/template:base"],
    command,
    filesystem: [{ source: "${WORKSPACE}", dest: "/workspace", mode: "rw" }],
    restart_policy: "never",
  });
  const assignment = await signAssignment(bureau, name, name, "running");
  await assignment.put();
  await eventually(`${name} runs`, async () => {
    const shown = await bureau.cli("agent", "show", `agent/${name}`, "--json");
    return shown.code === 0 && JSON.parse(shown.stdout).phase === "running";
  });
  return assignment.workspace;
}

/** A watcher of an agent, which takes what it is sent and says so, as `bureau observe` does. */
class Watcher implements KeyWay {
  onOutput: () => void = () => {};
  drawn = 0;

  private constructor(readonly socket: WebSocket, readonly close: () => void) {
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") {
        if (data.includes('"metadata"')) socket.send('{"type":"ack","bytes":0}');
        return;
      }
      this.drawn += decodeFrame(data as ArrayBuffer)!.bytes.length;
      socket.send(JSON.stringify({ type: "ack", bytes: this.drawn }));
      this.onOutput();
    };
  }

  static async open(bureau: Bureau, agent: string, mode: string): Promise<Watcher> {
    const { access_token } = JSON.parse(
      await Deno.readTextFile(`${bureau.stateDir}/operator/session.json`),
    ) as { access_token: string };
    const client = createClient(daemonApi, {
      socket: `${bureau.runDir}/daemon/daemon.sock`,
      token: access_token,
    });
    const socket = client.websocket("observe", {
      params: { principal: `${FLEET}/agent/${agent}` },
      query: { mode, cols: "120", rows: "40" },
      protocol: OBSERVE_PROTOCOL,
    });
    socket.binaryType = "arraybuffer";
    const closed = new Promise<void>((resolve) => socket.onclose = () => resolve());
    const watcher = new Watcher(socket, () => {
      socket.close();
      closed.then(() => client.close());
    });
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = (event) => reject(new Error((event as ErrorEvent).message));
    });
    await eventually("the first screen", () => Promise.resolve(watcher.drawn > 0));
    return watcher;
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    this.socket.send(encodeFrame({ kind: "input", bytes }));
  }
}

async function keys(bureau: Bureau): Promise<void> {
  const watcher = await Watcher.open(bureau, "cat", "readwrite");
  const relay = await findProcess(bureau, (line) => /^\/opt\/bureau\/deno .*relay\.js/.test(line));
  if (relay === null) throw new Error("the relay was not found");
  // Both ways in turns: whatever else this machine does meanwhile meets both.
  const plain = await AttachedTmux.start(["/bin/cat"]);
  const ours: number[] = [];
  const theirs: number[] = [];
  try {
    for (let round = 0; round < 10; round++) {
      ours.push(...await keyLatency(watcher, KEYS / 10));
      theirs.push(...await keyLatency(plain, KEYS / 10));
    }
  } finally {
    await plain.stop();
  }
  for (const p of [0.5, 0.99]) {
    report({
      id: `observe.echo.p${p * 100}`,
      value: percentile(ours, p),
      unit: "ms",
      alternative: { name: "tmux attach under script", value: percentile(theirs, p) },
      note: `${KEYS} keys: CLI's WebSocket, daemon, relay, tmux, sandbox and back`,
    });
  }
  const { privateMb, pssMb } = await memoryOf(relay);
  report({
    id: "relay.memory",
    value: privateMb,
    unit: "MB",
    note: `after ${KEYS} keys; PSS ${pssMb.toFixed(1)} MB`,
  });
  watcher.close();
}

async function flood(bureau: Bureau, workspace: string): Promise<void> {
  // The relay is there in both cases.
  (await Watcher.open(bureau, "flood", "readonly")).close();
  const once = async () => {
    await Deno.writeTextFile(`${workspace}/go`, "");
    const nanoseconds = Number(await waitForFile(`${workspace}/took`));
    await Deno.remove(`${workspace}/took`);
    return FLOOD_BYTES / (nanoseconds / 1e3);
  };
  await once();
  const alone: number[] = [];
  const watched: number[] = [];
  const drawn: number[] = [];
  for (let round = 0; round < FLOOD_ROUNDS; round++) {
    await unwatched(bureau);
    alone.push(await once());
    const watchers = await Promise.all(
      Array.from({ length: WATCHERS }, () => Watcher.open(bureau, "flood", "readonly")),
    );
    const before = watchers.reduce((sum, { drawn }) => sum + drawn, 0);
    watched.push(await once());
    drawn.push(watchers.reduce((sum, { drawn }) => sum + drawn, 0) - before);
    for (const watcher of watchers) watcher.close();
  }
  const [with5, without] = [percentile(watched, 0.5), percentile(alone, 0.5)];
  report({
    id: "observe.flood",
    value: with5 / without,
    unit: "×",
    note:
      `${with5.toFixed(1)} MB/s with five watchers, ${without.toFixed(1)} MB/s without; the five ` +
      `were drawn ${(percentile(drawn, 0.5) / 1e6).toFixed(1)} MB of 5 × ${FLOOD_BYTES / 1e6} MB`,
  });
}

const unwatched = (bureau: Bureau) =>
  eventually("nobody watches", async () => {
    const { watchers } = await bureau.json<{ watchers: number }>("agent", "show", "agent/flood");
    return watchers === 0;
  });

// Last: what is above are classes and constants, which must exist.
await withBureau(async (bureau) => {
  const started = await bureau.up("--detach", "--no-agent");
  if (started.code !== 0) throw new Error(started.stderr);
  await runAgent(bureau, "cat", ["/bin/cat"]);
  await keys(bureau);
  const workspace = await runAgent(bureau, "flood", FLOODER);
  await flood(bureau, workspace);
});
