// SPDX-License-Identifier: Apache-2.0

/** Debian's coturn with the configuration that deploy/compose/setup.sh wrote, on loopback. */
import { eventually, freePort, run } from "../e2e/harness.ts";
import { unpackDebian } from "./debian.ts";
import type { Unavailable } from "./provider.ts";

const PACKAGES = ["coturn", "libmariadb3", "libhiredis0.14", "libevent-core-2.1-7"]
  .concat(["libevent-extra-2.1-7", "libevent-openssl-2.1-7", "libevent-pthreads-2.1-7"]);

export interface Relay extends AsyncDisposable {
  /** What coturn's own client says when it asks for a relay to that peer with this credential. */
  ask(username: string, password: string, peer: string): Promise<string>;
}

export async function startRelay(configuration: string): Promise<Relay | Unavailable> {
  const found = await unpackDebian("coturn", PACKAGES, "usr/bin/turnserver");
  if ("reason" in found) return found;
  const { dir } = found;
  const env = { LD_LIBRARY_PATH: `${dir}/usr/lib/${Deno.build.arch}-linux-gnu` };
  const state = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-turn-" });
  const port = String(freePort());
  const child = new Deno.Command("setpriv", {
    args: ["--pdeathsig=KILL", `${dir}/usr/bin/turnserver`, "-c", configuration]
      .concat(["--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", `--listening-port=${port}`])
      .concat([`--pidfile=${state}/pid`, `--userdb=${state}/db`]),
    env,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const close = async () => {
    child.kill("SIGTERM");
    await child.status;
    await Deno.remove(state, { recursive: true });
  };
  const client = (program: string, ...args: string[]) =>
    run("env", [
      `LD_LIBRARY_PATH=${env.LD_LIBRARY_PATH}`,
      ...["timeout", "10", `${dir}/usr/bin/${program}`, ...args, "-p", port, "127.0.0.1"],
    ]);
  try {
    await eventually(
      "the relay answers",
      async () => (await client("turnutils_stunclient")).code === 0,
      60_000,
    );
  } catch (thrown) {
    await close();
    throw thrown;
  }
  const ask = async (username: string, password: string, peer: string) => {
    // One client without RTCP (`-c`), one message.
    const talk = ["-v", "-c", "-m", "1", "-n", "1", "-e", peer];
    const { stdout, stderr } = await client(
      "turnutils_uclient",
      ...[...talk, "-u", username, "-w", password],
    );
    return stdout + stderr;
  };
  return { ask, [Symbol.asyncDispose]: close };
}
