// SPDX-License-Identifier: Apache-2.0

/** What surrounds the sandboxes of one run: things of the host that a breach would reach. */
import type { Props } from "./weaken.ts";

/** Listens on the loopback and on an abstract socket, holds shared memory, until its stdin ends. */
const NEIGHBOUR = `
use strict; use warnings; use Socket; use IPC::SysV qw(IPC_PRIVATE IPC_CREAT IPC_RMID);
$| = 1;
my @open;
foreach my $bind ([PF_INET, pack_sockaddr_in(0, inet_aton("127.0.0.1"))],
    [PF_INET6, Socket::pack_sockaddr_in6(0, Socket::inet_pton(PF_INET6, "::1"))],
    [PF_UNIX, pack_sockaddr_un("\\0bureau-escape-$$")]) {
  socket(my $socket, $bind->[0], SOCK_STREAM, 0) or next;
  bind($socket, $bind->[1]) && listen($socket, 64) or next;
  push @open, $socket;
}
my $memory = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
my $file = "/dev/shm/escape-test-$$";
open(my $shared, ">", $file);
print "ready\\n";
while (<STDIN>) {}
shmctl($memory, IPC_RMID, 0) if defined $memory;
unlink $file;
`;

const text = (path: string, data: string) => Deno.writeTextFile(path, data, { mode: 0o644 });

export class Scene implements AsyncDisposable {
  readonly #neighbour: Deno.ChildProcess;
  readonly #listeners: Deno.Listener[] = [];

  private constructor(readonly dir: string, readonly props: Props, neighbour: Deno.ChildProcess) {
    this.#neighbour = neighbour;
  }

  /** @param dir an empty directory of ours */
  static async make(dir: string): Promise<Scene> {
    await Deno.mkdir(`${dir}/props/etc`, { recursive: true });
    await text(
      `${dir}/props/etc/passwd`,
      "root:x:0:0::/:/bin/sh\noperator:x:4242:4242::/home/o:/bin/sh\n",
    );
    await text(`${dir}/props/etc/resolv.conf`, "nameserver 127.0.0.1\n");
    await text(`${dir}/props/etc/machine-id`, "0123456789abcdef0123456789abcdef\n");
    const props = {
      etc: `${dir}/props/etc`,
      bwrap: `${dir}/props/bwrap`,
      setuidBwrap: `${dir}/props/setuid-bwrap`,
    };
    for (const [path, mode] of [[props.bwrap, 0o755], [props.setuidBwrap, 0o4755]] as const) {
      await Deno.copyFile("/usr/bin/bwrap", path);
      await Deno.chmod(path, mode);
    }
    const neighbour = new Deno.Command("/usr/bin/perl", {
      args: ["-e", NEIGHBOUR],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    // Its one line; the pipe is closed with it.
    for await (const _ of neighbour.stdout) break;
    return new Scene(dir, props, neighbour);
  }

  /** A workspace as a person has it: a repository, an editor's and a shell's configuration. */
  async workspace(name: string): Promise<string> {
    const path = `${this.dir}/workspaces/${name}`;
    for (const dir of [".git/hooks", ".git/objects", ".vscode", ".idea"]) {
      await Deno.mkdir(`${path}/${dir}`, { recursive: true });
    }
    for (
      const file of [
        ".git/config",
        ".git/HEAD",
        ".envrc",
        ".vscode/tasks.json",
        ".vscode/settings.json",
        ".idea/workspace.xml",
      ]
    ) await text(`${path}/${file}`, "");
    await Deno.mkdir(`${path}/bureau`);
    return path;
  }

  /** A socket that somebody serves, or a file. @returns its host path */
  async exposed(path: string, kind: "socket" | "file"): Promise<string> {
    const id = crypto.randomUUID().slice(0, 8);
    const place = `${this.dir}/props/${id}`;
    if (kind === "file") await text(place, `secret of ${path}`);
    else this.#listeners.push(Deno.listen({ transport: "unix", path: place }));
    return place;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    await this.#neighbour.stdin.close();
    await this.#neighbour.status;
  }
}
