// SPDX-License-Identifier: Apache-2.0

/** A proxy in this process with a gate, on sockets in a directory of its own. */
import type { ProxyBootstrap } from "../api.ts";
import { type ProxyOptions, type ProxySockets, type RunningProxy, startProxy } from "../serve.ts";
import { startGate, type TestGate } from "./gate.ts";

export interface Harness {
  readonly dir: string;
  readonly sockets: ProxySockets;
  readonly proxy: RunningProxy;
  readonly gate: TestGate;
  /** `fetch` on the agent's socket. */
  get(path: string, init?: RequestInit): Promise<Response>;
  admin(path: string, init?: RequestInit): Promise<Response>;
}

export const ALLOW_ALL = [{ actions: ["**"] }];

export function bootstrapWith(fields: Partial<ProxyBootstrap> = {}): ProxyBootstrap {
  return {
    version: 1,
    principal: "bureau/fleet/dev/agent/test",
    server_name: "bureau.local",
    fleet: "bureau/fleet/dev",
    machine: "bureau/fleet/dev/machine/box",
    room: "!room:bureau.local",
    matrix: null,
    services: {},
    grants: ALLOW_ALL,
    denials: [],
    ...fields,
  };
}

/** Runs `body` with a proxy; every target goes to the loopback port of its own name unless `route` says else. */
export async function withProxy(
  bootstrap: Partial<ProxyBootstrap>,
  body: (harness: Harness) => Promise<void>,
  options: Partial<ProxyOptions> & { readonly route?: (target: string) => number | null } = {},
): Promise<void> {
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
  const sockets = {
    agent: `${dir}/proxy.sock`,
    forward: `${dir}/forward.sock`,
    admin: `${dir}/admin.sock`,
    egress: `${dir}/egress.sock`,
    ssh: `${dir}/ssh-agent.sock`,
  };
  const gate = await startGate({
    path: sockets.egress,
    route: options.route ?? ((target) => Number(target.split(":").at(-1))),
  });
  const proxy = await startProxy(bootstrapWith(bootstrap), { ...options, sockets });
  const agent = Deno.createHttpClient({ proxy: { transport: "unix", path: sockets.agent } });
  const admin = Deno.createHttpClient({ proxy: { transport: "unix", path: sockets.admin } });
  try {
    await body({
      dir,
      sockets,
      proxy,
      gate,
      get: (path, init) =>
        fetch(`http://192.0.2.1${path}`, { redirect: "manual", ...init, client: agent }),
      admin: (path, init) => fetch(`http://192.0.2.1${path}`, { ...init, client: admin }),
    });
  } finally {
    agent.close();
    admin.close();
    await proxy.stop();
    await gate.stop();
    await Deno.remove(dir, { recursive: true });
  }
}

/** CA and server certificates for `names`, made by openssl. */
export async function makeCertificates(
  dir: string,
  names: string,
): Promise<{ ca: string; cert: string; key: string }> {
  const openssl = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("openssl", {
      args,
      cwd: dir,
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  };
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await openssl(
    ...["req", "-x509", ...ec, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"],
    ...["-subj", "/CN=Test CA"],
  );
  await openssl("req", ...ec, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=leaf");
  await Deno.writeTextFile(`${dir}/ext`, `subjectAltName=${names}\nbasicConstraints=CA:FALSE\n`);
  await openssl(
    ...["x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key"],
    ...["-CAcreateserial", "-out", "leaf.pem", "-days", "2", "-extfile", "ext"],
  );
  return {
    ca: await Deno.readTextFile(`${dir}/ca.pem`),
    cert: await Deno.readTextFile(`${dir}/leaf.pem`),
    key: await Deno.readTextFile(`${dir}/leaf.key`),
  };
}
