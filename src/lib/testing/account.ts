// SPDX-License-Identifier: Apache-2.0

/** OpenSSH's programs end at once for a user who has no account, as an ordinary user of a test often is. */

const SCRIPT =
  `exec /usr/bin/bwrap --dev-bind / / --ro-bind-data 3 /etc/passwd --die-with-parent -- "$@" 3<<END
root:x:0:0::/root:/bin/sh
tester:x:$(id -u):$(id -g)::/tmp:/bin/sh
END`;

let known: Promise<boolean> | null = null;

/** @returns the command and its arguments, run where the user has an account */
export async function withAccount(
  command: string,
  args: readonly string[],
): Promise<{ command: string; args: string[] }> {
  known ??= new Deno.Command("/usr/bin/getent", {
    args: ["passwd", String(Deno.uid())],
    stdout: "null",
  }).output().then(({ success }) => success);
  if (await known) return { command, args: [...args] };
  return { command: "/bin/sh", args: ["-c", SCRIPT, "sh", command, ...args] };
}
