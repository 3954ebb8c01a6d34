// SPDX-License-Identifier: Apache-2.0

/** Real programs speak TCP: joins a loopback port to a Unix socket. */
export interface TestBridge {
  readonly port: number;
  stop(): void;
}

export function bridgeTo(path: string): TestBridge {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  (async () => {
    for await (const tcp of listener) {
      const unix = await Deno.connect({ transport: "unix", path });
      for (const end of [tcp, unix]) open.add(end);
      const ended = () => {};
      tcp.readable.pipeTo(unix.writable).catch(ended);
      unix.readable.pipeTo(tcp.writable).catch(ended);
    }
  })().catch(() => {});
  return {
    port: listener.addr.port,
    stop() {
      listener.close();
      for (const end of open) {
        try {
          end.close();
        } catch {
          // Closed already.
        }
      }
    },
  };
}

/** Curl without the environment's settings. */
export async function curl(
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command("curl", {
    args: ["--silent", "--show-error", "--max-time", "60", ...args],
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin" },
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}
