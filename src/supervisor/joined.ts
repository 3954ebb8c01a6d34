// SPDX-License-Identifier: Apache-2.0

/** A machine of somebody's fleet: what `up` reads of its boot file, or of what is left of that. */
import { messageOf } from "../lib/errors.ts";
import { BootFile, Joined, type JoinedFleet } from "../lib/provision/boot_file.ts";
import { SupervisorError } from "./errors.ts";

/** Null: this machine has a fleet of its own. */
export interface Membership {
  readonly fleet: JoinedFleet;
  /** Null: it has joined already. Secret. */
  readonly bootFile: BootFile | null;
}

/**
 * @param operatorDir `<state>/operator`
 * @param joinFile path of a boot file
 * @throws {SupervisorError} `boot-file`
 */
export async function membershipOf(
  operatorDir: string,
  joinFile: string | null,
): Promise<Membership | null> {
  if (joinFile !== null) {
    const bootFile = await readBootFile(joinFile);
    return { fleet: bootFile, bootFile };
  }
  try {
    const path = `${operatorDir}/joined.json`;
    const fleet = Joined.parse(JSON.parse(await Deno.readTextFile(path)));
    return { fleet, bootFile: null };
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return null;
    throw new SupervisorError(
      "bad-membership",
      `Cannot use "${operatorDir}/joined.json": ${messageOf(thrown)}`,
      { hint: "join again with a boot file: sh tasks/up --join FILE" },
    );
  }
}

async function readBootFile(path: string): Promise<BootFile> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (thrown) {
    throw new SupervisorError(
      "boot-file",
      `Cannot read the boot file "${path}": ${messageOf(thrown)}`,
    );
  }
  try {
    return BootFile.parse(JSON.parse(text));
  } catch {
    // What stands in it is secret.
    throw new SupervisorError("boot-file", `Cannot use "${path}": it is no boot file`, {
      hint: "`bureau machine provision` makes one, on the machine of the fleet's operator",
    });
  }
}
