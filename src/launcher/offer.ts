// SPDX-License-Identifier: Apache-2.0

/**
 * A service's socket, for the daemon. The sandbox may put anything in its directory, a link to a socket of
 * ours too: whoever connected there by name would be led to it. A second name of the same file, in a
 * directory that the sandbox doesn't see, leads nowhere else and can't be swapped.
 */
import { messageOf } from "../lib/errors.ts";
import type { Principal as Status } from "./api.ts";
import { directoriesOf } from "./directories.ts";
import { LauncherError } from "./errors.ts";
import { removeIfThere } from "./files.ts";

let made = 0;

/** @returns the host path of what listens, or listened, there now */
export async function offerSocket(
  runDir: string,
  { hash, status: { principal, phase } }: { readonly hash: string; readonly status: Status },
): Promise<string> {
  const { base, listen } = directoriesOf(runDir, hash);
  if (phase !== "running") {
    throw new LauncherError(
      "not-running",
      `Cannot reach the service "${principal}": it is ${phase}`,
      { status: 409, hint: "`bureau service show` says why" },
    );
  }
  const offered = `${base}/offer/service.sock`;
  const fresh = `${base}/offer/${++made}`;
  await removeIfThere(fresh);
  try {
    // link(2) doesn't follow a link that stands there.
    await Deno.link(`${listen}/service.sock`, fresh);
    const { isSocket } = await Deno.lstat(fresh);
    if (isSocket !== true) throw new Error("what is there is no socket");
    // The daemon may be another user of our group; whatever mask the service has.
    await Deno.chmod(fresh, 0o660);
    await Deno.rename(fresh, offered);
    return offered;
  } catch (thrown) {
    throw new LauncherError(
      "no-socket",
      `Cannot reach the service "${principal}": ${
        thrown instanceof Deno.errors.NotFound ? "it does not listen yet" : messageOf(thrown)
      }`,
      { status: 409, hint: "it makes the socket /run/bureau/listen/service.sock" },
    );
  } finally {
    // Two names of one file stay two after a rename of one to the other.
    await removeIfThere(fresh);
  }
}
