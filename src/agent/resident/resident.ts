// SPDX-License-Identifier: Apache-2.0

/** `bureau worker serve`: each spec that comes gets a worker in a sandbox of its own, under this machine's policy. */
import { parseAuthority } from "../../lib/authority.ts";
import { pinOf } from "../../lib/certificate/mod.ts";
import { BureauError, messageOf } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { ParentWorker } from "../parent/parent.ts";
import { SandboxLauncher } from "../parent/sandbox.ts";
import type { WorkerLauncher } from "../parent/launch.ts";
import type { PlacementHost } from "../place/mod.ts";
import { completeSpec, type ProvisionInput } from "../provision/mod.ts";
import type { ResidentBootstrap } from "./api.ts";
import { type Policy, underPolicy } from "./policy.ts";
import { type ResidentServer, serveResident } from "./serve.ts";

/** Whose sockets this process may reach (tasks/grants.txt). */
const NAMES = Array.from({ length: 8 }, (_, n) => `w${n}`);

export interface Announced {
  readonly endpoint: string;
  readonly pin: string;
  readonly token: string | null;
}

/** @throws {BureauError} `bad-listen`, `not-listening`; {SpecError} for its own */
export async function startResident(
  bootstrap: ResidentBootstrap,
  launcher: WorkerLauncher,
  log: Logger,
): Promise<{ readonly server: ResidentServer; readonly announced: Announced }> {
  const { identity, token, token_sha256, fabric_dir } = bootstrap;
  const listen = parseAuthority(bootstrap.listen);
  if (listen === null) {
    throw new BureauError("bad-listen", `Cannot listen on "${bootstrap.listen}": not HOST:PORT`);
  }
  const own = completeSpec({ ...bootstrap.own as unknown as ProvisionInput, fabric_dir });
  const policy: Policy = {
    own,
    executor: bootstrap.one_executor ? own.executor : null,
    binds: bootstrap.binds,
  };
  let server: ResidentServer;
  try {
    server = serveResident({
      listen,
      identity,
      tokenSha256: token_sha256,
      host: hostOf(policy, launcher, log),
      log,
    });
  } catch (thrown) {
    throw new BureauError(
      "not-listening",
      `Cannot listen on "${bootstrap.listen}": ${messageOf(thrown)}`,
      {
        hint: "give --listen an address of this machine, and a port above 1023 that nobody has",
        cause: thrown,
      },
    );
  }
  return {
    server,
    announced: {
      endpoint: `wss://${bootstrap.listen}`,
      pin: await pinOf(identity.authority),
      token,
    },
  };
}

export function sandboxesOf(bootstrap: ResidentBootstrap, runtimeDir: string): WorkerLauncher {
  return new SandboxLauncher({
    document: bootstrap.launcher,
    runtimeDir,
    stateDir: bootstrap.state_dir,
    runDir: bootstrap.run_dir,
  });
}

function hostOf(policy: Policy, launcher: WorkerLauncher, log: Logger) {
  const taken = new Set<string>();
  return (peer: string): PlacementHost => ({
    log,
    async start(asked) {
      const spec = underPolicy(asked, policy);
      const name = NAMES.find((each) => !taken.has(each));
      if (name === undefined) {
        throw new BureauError("busy", `all ${NAMES.length} workers there have something to do`, {
          hint: "try again when one has ended",
          status: 503,
        });
      }
      taken.add(name);
      const { role, depth } = spec.identity;
      log.info("a worker is placed", { peer, name, executor: spec.executor.kind, role });
      try {
        return await ParentWorker.start({
          ...spec,
          // At least below whoever asked: they counted.
          identity: { ...spec.identity, child_id: name, depth: Math.max(depth, 1) },
          // Each sees its own alone.
          fabric_dir: `${policy.own.fabric_dir}/${name}`,
        }, { launcher });
      } catch (thrown) {
        taken.delete(name);
        throw thrown;
      }
    },
    ended({ record }) {
      taken.delete(record.agent_id);
      log.info("a worker has ended", { peer, name: record.agent_id });
    },
  });
}

/** What a person copies to the machine of the parent. */
export function announce({ endpoint, pin, token }: Announced, json: boolean): string[] {
  if (json) return [JSON.stringify({ endpoint, pin, token })];
  return [
    `workers can be placed at ${endpoint}`,
    `certificate  ${pin}`,
    token === null
      ? "token        the one that was printed when it was made (--new-token makes another)"
      : `token        ${token}  (printed once; only its hash is kept)`,
  ];
}
