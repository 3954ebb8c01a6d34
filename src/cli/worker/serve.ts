// SPDX-License-Identifier: Apache-2.0

/**
 * `worker serve`: what a person typed, and what this machine is known by, as a document for the process that takes
 * workers for others.
 */
import * as z from "zod/mini";
import type { ResidentBootstrap } from "../../agent/resident/api.ts";
import { RESIDENT_NAME } from "../../agent/resident/api.ts";
import { authorityOf, parseAuthority } from "../../lib/authority.ts";
import { sha256Hex } from "../../lib/canonical/mod.ts";
import { makeSelfMade, RENEW_MS } from "../../lib/certificate/mod.ts";
import { systemClock } from "../../lib/clock.ts";
import { readJson, writeIfDifferent } from "../files.ts";
import type { CommandHandler, Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";
import { launcherOf, plain, readGiven, RUNTIME, specOf, textFlag } from "./document.ts";

/** `<state>/operator/resident.json`, 0600. */
const Identity = z.object({
  authority: z.string(),
  certificate: z.string(),
  /** Secret. */
  key: z.string(),
  /** Milliseconds since the epoch. */
  expires_at: z.number(),
  /** The token itself is kept nowhere. */
  token_sha256: z.string(),
});
type Identity = z.infer<typeof Identity>;

export const serve: CommandHandler = async (call) => {
  const listen = parseAuthority(textFlag(call, "listen") ?? "");
  if (listen === null) {
    throw new CliError("usage", "Cannot listen: give --listen HOST:PORT", {
      hint: "an address of this machine that its parents can reach, e.g. --listen 192.168.1.5:8443",
    });
  }
  const given = await readGiven(call);
  const fabric = textFlag(call, "fabric")!;
  const launcher = await launcherOf(call, given);
  const own = specOf(call, given, call.args, fabric);
  const hasExecutor = call.args.length > 0 || call.flags["executor"] !== undefined ||
    (given.spec !== undefined && "executor" in JSON.parse(given.spec));
  const { identity, token } = await identityOf(call);
  const { authority, certificate, key, token_sha256 } = identity;
  const document: ResidentBootstrap = {
    version: 1,
    mode: "resident",
    // `tasks/sandbox.sh` looks for it here: it is the one address that the process may listen at.
    listen: authorityOf(listen),
    run_dir: launcher.run_dir,
    state_dir: call.stateDir,
    fabric_dir: fabric,
    launcher: plain(launcher),
    identity: { authority, certificate, key },
    token_sha256,
    token,
    own: plain(own),
    one_executor: hasExecutor,
    binds: launcher.sandbox!.binds
      .filter(({ dest }) => dest !== RUNTIME)
      .map(({ dest, mode }) => ({ dest, mode })),
    json: call.json,
  };
  call.emit(JSON.stringify(document));
};

/** @returns the token where it was made just now */
async function identityOf(
  call: Invocation,
): Promise<{ identity: Identity; token: string | null }> {
  const path = `${call.stateDir}/operator/resident.json`;
  const known = z.safeParse(Identity, await readJson(path));
  let token: string | null = null;
  let identity: Identity;
  if (known.success && known.data.expires_at - RENEW_MS > systemClock.now()) identity = known.data;
  else {
    identity = {
      ...await makeSelfMade(RESIDENT_NAME, systemClock),
      token_sha256: known.success ? known.data.token_sha256 : "",
    };
  }
  if (identity.token_sha256 === "" || call.flags["new-token"] === true) {
    token = crypto.getRandomValues(new Uint8Array(32)).toBase64({
      alphabet: "base64url",
      omitPadding: true,
    });
    identity = { ...identity, token_sha256: await sha256Hex(token) };
  }
  await writeIfDifferent(path, JSON.stringify(identity));
  return { identity, token };
}
