// SPDX-License-Identifier: Apache-2.0

/**
 * A real launcher, real sandboxes with their proxies, and the daemon's own egress gate in this process, for
 * programs that reach servers on loopback. Each use ends with a look for secrets in everything that the
 * sandboxes received and the host stored.
 */
import assert from "node:assert/strict";
import { EgressGate } from "../../src/daemon/egress/gate.ts";
import {
  type Asked,
  Bed,
  bundleFor,
  IDENTITY,
  localpart,
} from "../../src/launcher/testing/harness.ts";
import { createLogger } from "../../src/lib/log.ts";
import type {
  CredentialBundle,
  Denial,
  Grant,
  ProxyService,
  Template,
} from "../../src/lib/schema/events.ts";
import { scanDirectories } from "./scan.ts";
import { type Authority, authorityOf, DOMAIN, makeAuthority, type Served } from "./servers/tls.ts";
import { waitFor } from "./wait.ts";

export interface Credential {
  readonly value: string;
  readonly servers: readonly Served[];
  /** Of an SSH key. */
  readonly knownHosts?: string;
}

export interface Agent {
  /** A shell script; what it says on stdout and stderr is kept. */
  readonly script: string;
  readonly services?: Readonly<Record<string, ProxyService>>;
  readonly credentials?: Readonly<Record<string, Credential>>;
  /** Environment variable → credential. */
  readonly placeholders?: Readonly<Record<string, string>>;
  /** Whether programs find the proxy at `http://127.0.0.1:8642`: yes. */
  readonly bridge?: boolean;
  /** What its gate lets it reach, and it may tunnel to. */
  readonly servers?: readonly Served[];
  readonly grants?: readonly Grant[];
  readonly denials?: readonly Denial[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Host directory → place inside, read-only. */
  readonly binds?: Readonly<Record<string, string>>;
  readonly matrix?: CredentialBundle["matrix"];
  readonly change?: Template;
}

export interface Outcome {
  readonly code: number;
  /** Both outputs, in order. */
  readonly said: string;
}

export interface Running {
  /** Host path of its workspace. */
  readonly workspace: string;
  /** Host path of its sockets' parent. */
  readonly cell: string;
  readonly gate: EgressGate;
  ended(): Promise<Outcome>;
}

export class Rig {
  /** Name → value: none of them may be found anywhere at the end. */
  readonly secrets: Record<string, string> = {};
  readonly #gates: EgressGate[] = [];
  readonly #gateLog: string[] = [];
  readonly #bindRoots: { path: string; mode: "ro" }[] = [];
  #count = 0;

  private constructor(
    readonly bed: Bed,
    readonly authority: Authority,
    /** For the servers of the test: beyond any sandbox, and not looked at for secrets. */
    readonly servers: string,
  ) {}

  static async make(): Promise<Rig> {
    const bed = await Bed.make();
    const servers = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-srv" });
    const authority = await makeAuthority(`${servers}/tls`);
    await bed.start();
    return new Rig(bed, authority, servers);
  }

  /** A value that is found nowhere by chance. */
  secret(name: string): string {
    return this.secrets[name] = `sec.${crypto.getRandomValues(new Uint8Array(20)).toHex()}`;
  }

  /** Sandboxes may be given what lies below this directory of the host. */
  async allowBind(path: string): Promise<void> {
    this.#bindRoots.push({ path, mode: "ro" });
    await this.bed.writePolicy({
      bind_roots: [
        { path: `${this.bed.dir}/state/workspaces`, mode: "rw" },
        { path: `${this.bed.dir}/state/agents`, mode: "ro" },
        ...this.#bindRoots,
      ],
    });
  }

  /** Runs an agent to its end. */
  async run(agent: Agent): Promise<Outcome> {
    const running = await this.start(agent);
    const outcome = await running.ended();
    return outcome;
  }

  async start(agent: Agent): Promise<Running> {
    const name = `a${++this.#count}`;
    const workspace = await this.bed.workspace(name);
    const request = await this.bed.request(name, this.#asked(name, workspace, agent));
    const servers = agent.servers ?? [];
    const grants = [
      ...Object.keys(agent.services ?? {}).map((service) => ({ actions: [`http/${service}`] })),
      ...servers.map(({ host, port }) => ({ actions: [`forward/${host}/${port}`] })),
      ...agent.grants ?? [],
    ];
    const gate = await this.#gate(name, servers);
    let failed = false;
    const [created] = await Promise.allSettled([
      this.bed.create(name, { ...request, grants, denials: [...agent.denials ?? []] }).catch(
        (thrown) => {
          failed = true;
          throw thrown;
        },
      ),
      this.#open(name, gate, () => failed),
    ]);
    if (created.status === "rejected") throw created.reason;
    await Deno.writeTextFile(`${workspace}/go`, "");
    return {
      workspace,
      cell: await this.bed.cell(name),
      gate,
      ended: async () => {
        const { code, output } = await this.bed.wait(name);
        const said = await Deno.readTextFile(`${workspace}/out`).catch(() => "");
        return { code, said: said === "" ? output.join("\n") : said };
      },
    };
  }

  #asked(name: string, workspace: string, agent: Agent): Asked {
    const script =
      `until [ -e /workspace/go ]; do sleep 0.02; done\nexec >/workspace/out 2>&1\ncd /workspace\n${agent.script}`;
    const template: Template = {
      command: ["/bin/sh", "-c", script],
      environment_variables: {
        PATH: "/usr/bin:/bin",
        HOME: "/workspace",
        LANG: "C.UTF-8",
        ...agent.environment,
      },
      filesystem: [
        { source: workspace, dest: "/workspace", mode: "rw" },
        { dest: "/tmp", type: "tmpfs" },
        ...Object.entries(agent.binds ?? {}).map(([source, dest]) => ({ source, dest })),
      ],
      proxy_services: { ...agent.services },
      bridge: agent.bridge ?? true,
      ...(agent.placeholders === undefined ? {} : { placeholders: { ...agent.placeholders } }),
      ...agent.change,
    };
    const credentials = Object.fromEntries(
      Object.entries(agent.credentials ?? {}).map(([key, { value, servers, knownHosts }]) => [key, {
        value,
        allowed_hosts: servers.map(authorityOf),
        ca: this.authority.ca,
        ...(knownHosts === undefined ? {} : { known_hosts: knownHosts }),
      }]),
    );
    const bundle = bundleFor(name, credentials);
    return {
      template,
      bundle: agent.matrix === undefined ? bundle : { ...bundle, matrix: agent.matrix },
    };
  }

  /** The daemon's gate, with names of the test's own domain for loopback. */
  async #gate(name: string, servers: readonly Served[]): Promise<EgressGate> {
    const gate = new EgressGate({
      principal: localpart(name),
      log: createLogger("gate", { agent: name }, (line) => this.#gateLog.push(line)),
      resolve: (host) =>
        host.endsWith(`.${DOMAIN}`) || host === "127.0.0.1"
          ? Promise.resolve(["127.0.0.1"])
          : Promise.reject(new Error("no such name in this test")),
    });
    await gate.setPolicy(
      servers.flatMap((server) => [authorityOf(server), `127.0.0.1:${server.port}`]),
    );
    this.#gates.push(gate);
    return gate;
  }

  /** Once the launcher has made its directory. */
  async #open(name: string, gate: EgressGate, failed: () => boolean): Promise<void> {
    const dir = `${await this.bed.cell(name)}/egress`;
    await waitFor(
      `the launcher makes ${dir}`,
      async () => failed() || (await Deno.stat(dir)).isDirectory,
    );
    if (failed()) return;
    await gate.listen(`${dir}/egress.sock`);
    if (Deno.uid() === 0) await Deno.chown(`${dir}/egress.sock`, IDENTITY.uid, IDENTITY.gid);
  }

  /** Everything that this run left, but the vaults: servers know their own secrets. */
  async scan(): ReturnType<typeof scanDirectories> {
    await Deno.writeTextFile(`${this.bed.dir}/gate.log`, this.#gateLog.join("\n"));
    await Deno.writeTextFile(`${this.bed.dir}/launcher.log`, this.bed.launcher.log.join("\n"));
    return await scanDirectories([this.bed.dir], this.secrets);
  }

  async assertNoSecrets(): Promise<void> {
    const looked = await this.scan();
    assert.deepEqual(looked.findings, [], "secrets were found");
    assert.deepEqual(looked.unread, []);
    assert.ok(looked.files > 3 && looked.bytes > 0, "the scan saw nothing");
  }

  async close(): Promise<void> {
    for (const gate of this.#gates) gate.close();
    await this.bed.close();
    await Deno.remove(this.servers, { recursive: true });
  }

  get log(): string {
    return [...this.bed.launcher.log, ...this.#gateLog].join("\n");
  }
}

/** The proxy's process, of the principal whose directory is `cell`. */
export async function proxyPid(rig: Rig, cell: string): Promise<number> {
  const found = (await rig.bed.processes(cell))
    .filter(({ command }) => /^\S*deno .*proxy\.js/.test(command));
  assert.equal(found.length, 1, JSON.stringify(found));
  return found[0]!.pid;
}

/** Runs `use`, looks for secrets, and takes everything away again. */
export async function withRig(use: (rig: Rig) => Promise<void>): Promise<void> {
  const rig = await Rig.make();
  try {
    await use(rig);
    await rig.assertNoSecrets();
  } catch (thrown) {
    console.error(rig.log.split("\n").slice(-40).join("\n"));
    await rig.close().catch((also) => console.error("while cleaning up:", also));
    throw thrown;
  }
  await rig.close();
}
