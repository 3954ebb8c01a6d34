// SPDX-License-Identifier: Apache-2.0

/**
 * The real launcher process for tests: bundled, as an ordinary user, with the permissions and directories
 * that `up` would give it, and an operator who signs what it is asked.
 */
import assert from "node:assert/strict";
import { createClient } from "../../lib/http/mod.ts";
import { denoArguments, parseGrants } from "../../lib/process/mod.ts";
import { principalHash } from "../../lib/ref/mod.ts";
import type { Assignment, CredentialBundle, Template } from "../../lib/schema/events.ts";
import { sealBundle } from "../../lib/sealed/mod.ts";
import { generateSigningKey, signContent, type SigningKey } from "../../lib/signature/mod.ts";
import { templateDigest } from "../../lib/template/mod.ts";
import { type CgroupPlace, type CreateRequest, launcherApi } from "../api.ts";
import { buildRuntime } from "./runtime.ts";
import { eventually, textOf } from "./wait.ts";

export { eventually, textOf };

const ROOT = new URL("../../../", import.meta.url).pathname.replace(/\/$/, "");
export const SERVER = "bureau.local";
export const MACHINE = `@bureau/fleet/dev/machine/box:${SERVER}`;
/** Who the launcher is when the tests run as root: the ids that `up` gives it. */
export const IDENTITY = { uid: 64_702, gid: 64_700 };

export interface RunningLauncher {
  readonly process: Deno.ChildProcess;
  readonly client: ReturnType<typeof createClient<typeof launcherApi>>;
  /** What it logged, line by line. */
  readonly log: string[];
  readonly logged: Promise<void>;
}

/** What a test may change of a request that is otherwise in order. */
export interface Asked {
  readonly template?: Template;
  readonly assignment?: Partial<Assignment>;
  readonly bundle?: CredentialBundle | null;
  readonly key?: SigningKey;
}

/** A run and a state directory of their own, and the launcher that serves them. */
export class Bed {
  launcher!: RunningLauncher;
  publicKey = "";
  /** Set before `start`, for limits. */
  cgroups: CgroupPlace | null = null;
  #issuedAt = Date.now();
  private constructor(
    readonly dir: string,
    readonly runtime: string,
    readonly operator: SigningKey,
  ) {}

  static async make(): Promise<Bed> {
    const runtime = await buildRuntime();
    const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-l" });
    const bed = new Bed(dir, runtime, await generateSigningKey());
    await Deno.chmod(dir, 0o711);
    await Deno.mkdir(`${dir}/state/operator`, { recursive: true });
    for (const [name, mode] of [["p", 0o750], ["launcher", 0o750]] as const) {
      await bed.#own(`${dir}/${name}`, mode);
    }
    await bed.#own(`${dir}/state/launcher`, 0o700);
    await bed.#own(`${dir}/state/workspaces`, 0o711);
    await bed.#own(`${dir}/state/recordings`, 0o750);
    await Deno.mkdir(`${dir}/state/agents`);
    await bed.writePolicy();
    return bed;
  }

  async #own(path: string, mode: number): Promise<void> {
    await Deno.mkdir(path, { recursive: true });
    await Deno.chmod(path, mode);
    if (Deno.uid() === 0) await Deno.chown(path, IDENTITY.uid, IDENTITY.gid);
  }

  async writePolicy(change: Record<string, unknown> = {}): Promise<void> {
    await Deno.writeTextFile(
      `${this.dir}/state/operator/policy.json`,
      JSON.stringify({
        version: 1,
        operator_keys: [this.operator.publicKey],
        bind_roots: [
          { path: `${this.dir}/state/workspaces`, mode: "rw" },
          { path: `${this.dir}/state/agents`, mode: "ro" },
        ],
        passthrough: [],
        limits: { memory_limit_mb: 4096, pids_limit: 512 },
        ...change,
      }),
      { mode: 0o644 },
    );
  }

  bootstrap(mode: "serve" | "preflight" = "serve"): Record<string, unknown> {
    return {
      version: 1,
      mode,
      run_dir: this.dir,
      state_dir: `${this.dir}/state`,
      runtime_dir: this.runtime,
      policy_path: `${this.dir}/state/operator/policy.json`,
      machine: MACHINE,
      server_name: SERVER,
      ...(this.cgroups === null ? {} : { cgroups: this.cgroups }),
    };
  }

  /** Runs the process to its first line. @param as `root` leaves root as root */
  async spawn(
    mode: "serve" | "preflight",
    as: "ordinary" | "root" = "ordinary",
  ): Promise<
    {
      process: Deno.ChildProcess;
      line: Record<string, unknown>;
      log: string[];
      logged: Promise<void>;
    }
  > {
    const grants = parseGrants(await Deno.readTextFile(`${ROOT}/tasks/grants.txt`), {
      STATE: `${this.dir}/state`,
      RUN: this.dir,
      RUNTIME: this.runtime,
      DENO: `${this.runtime}/deno`,
    });
    const drop = Deno.uid() === 0 && as === "ordinary"
      ? ["--reuid", `${IDENTITY.uid}`, "--regid", `${IDENTITY.gid}`, "--clear-groups"]
      : [];
    const process = new Deno.Command("/usr/bin/setpriv", {
      args: [
        "--pdeathsig",
        "KILL",
        ...drop,
        "--",
        "/bin/sh",
        "-c",
        'umask 077; exec "$@"',
        "sh",
        `${this.runtime}/deno`,
        ...denoArguments("launcher", this.runtime, grants),
      ],
      cwd: this.runtime,
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", HOME: "/nonexistent", DENO_DIR: "/dev/null/none" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const log: string[] = [];
    const logged = lines(process.stderr, (line) => log.push(line));
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(JSON.stringify(this.bootstrap(mode))));
    await writer.close();
    const first = Promise.withResolvers<string>();
    lines(process.stdout, (line) => first.resolve(line)).then(() => first.resolve("{}"));
    return { process, line: JSON.parse(await first.promise), log, logged };
  }

  async start(): Promise<RunningLauncher> {
    const { process, line, log, logged } = await this.spawn("serve");
    assert.equal(line["ready"], true, JSON.stringify(line) + log.join("\n"));
    this.publicKey = String(line["public_key"]);
    const client = createClient(launcherApi, { socket: `${this.dir}/launcher/launcher.sock` });
    return this.launcher = { process, client, log, logged };
  }

  async end(signal: "SIGTERM" | "SIGKILL"): Promise<Deno.CommandStatus> {
    const { process, client, logged } = this.launcher;
    client.close();
    process.kill(signal);
    const status = await process.status;
    await logged;
    return status;
  }

  /** Made and given to the launcher's user. */
  async workspace(name: string): Promise<string> {
    const path = `${this.dir}/state/workspaces/${name}`;
    await this.#own(path, 0o700);
    return path;
  }

  hash(name: string): Promise<string> {
    return principalHash(localpart(name));
  }

  async cell(name: string): Promise<string> {
    return `${this.dir}/p/${await this.hash(name)}`;
  }

  /** A request that is accepted, unless `asked` spoils it. */
  async request(name: string, asked: Asked = {}): Promise<CreateRequest> {
    const template = asked.template ?? await this.template(name, "exec sleep 1000");
    const assignment = await signContent({
      version: 1 as const,
      principal: `@${localpart(name)}:${SERVER}`,
      machine: MACHINE,
      template: "bureau/template:test",
      template_digest: await templateDigest(template),
      desired: "running" as const,
      issued_by: `@operator:${SERVER}`,
      issued_at: this.#issuedAt++,
      ...asked.assignment,
    }, asked.key ?? this.operator);
    return {
      assignment,
      template,
      credentials: asked.bundle === undefined || asked.bundle === null
        ? null
        : await sealBundle(asked.bundle, [this.publicKey]),
      grants: [],
      denials: [],
    };
  }

  /** A shell script as the agent, with its workspace read-write. */
  async template(name: string, script: string, change: Template = {}): Promise<Template> {
    return {
      command: ["/bin/sh", "-c", script],
      environment_variables: { PATH: "/usr/bin:/bin", HOME: "/workspace" },
      filesystem: [
        { source: await this.workspace(name), dest: "/workspace", mode: "rw" },
        { dest: "/tmp", type: "tmpfs" },
      ],
      ...change,
    };
  }

  create(name: string, body: CreateRequest) {
    return this.launcher.client.call("create", { params: { principal: localpart(name) }, body });
  }

  retire(name: string, assignment: Assignment) {
    return this.launcher.client.call("retire", {
      params: { principal: localpart(name) },
      body: { assignment },
    });
  }

  destroy(name: string, grace_ms = 0) {
    return this.launcher.client.call("destroy", {
      params: { principal: localpart(name) },
      query: { grace_ms: String(grace_ms) },
    });
  }

  show(name: string) {
    return this.launcher.client.call("show", { params: { principal: localpart(name) } });
  }

  wait(name: string) {
    return this.launcher.client.call("wait", { params: { principal: localpart(name) } });
  }

  /** What the agent wrote into its workspace; waits for it. */
  read(name: string, file: string): Promise<string> {
    return eventually(
      `${name} writes ${file}`,
      async () => {
        const path = `${this.dir}/state/workspaces/${name}/${file}`;
        const text = await textOf(path);
        if (text !== "") return text;
        // Still being written, or made by `touch`: then it stays empty.
        await new Promise((resolve) => setTimeout(resolve, 200));
        return await textOf(path);
      },
    );
  }

  /** A client of a principal's server: tmux serves its own user only. */
  async tmux(socket: string, ...words: string[]): Promise<void> {
    const drop = Deno.uid() === 0 ? IDENTITY : {};
    const { code, stderr } = await new Deno.Command("/usr/bin/tmux", {
      args: ["-S", socket, ...words],
      // Where every user may be: a checkout in root's home is not.
      cwd: "/",
      ...drop,
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  }

  /** Processes that have something of this bed mounted or open as an argument. */
  async processes(below = this.dir): Promise<{ pid: number; command: string }[]> {
    const found: { pid: number; command: string }[] = [];
    // A mount table names it from the root of its file system, which may be /tmp itself.
    const mounted = below.slice(this.dir.lastIndexOf("/"));
    for await (const entry of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(entry.name) || Number(entry.name) === Deno.pid) continue;
      try {
        const mounts = await Deno.readTextFile(`/proc/${entry.name}/mountinfo`);
        const command = (await Deno.readTextFile(`/proc/${entry.name}/cmdline`))
          .replaceAll("\0", " ");
        // Its memory is gone already: it is about to be.
        if (command === "") continue;
        if (mounts.includes(`${mounted}/`) || command.includes(`${below}/`)) {
          found.push({ pid: Number(entry.name), command });
        }
      } catch {
        // Gone, or another user's.
      }
    }
    return found;
  }

  /** Ends everything, and fails when something stays; that is ended too, whatever failed. */
  async close(): Promise<void> {
    try {
      await this.#close();
    } finally {
      for (const { pid } of await this.processes()) {
        try {
          Deno.kill(pid, "SIGKILL");
        } catch {
          // It ended meanwhile.
        }
      }
    }
  }

  async #close(): Promise<void> {
    const { principals } = await this.launcher.client.call("list");
    await Promise.all(
      principals.map(({ principal }) =>
        this.launcher.client.call("destroy", {
          params: { principal },
          query: { grace_ms: "0" },
        })
      ),
    );
    assert.deepEqual(
      await this.processes(`${this.dir}/p`),
      [],
      "no process outlives its principal",
    );
    assert.deepEqual(
      [...Deno.readDirSync(`${this.dir}/p`)],
      [],
      "no directory outlives its principal",
    );
    assert.equal((await this.end("SIGTERM")).code, 0, this.launcher.log.join("\n"));
    assert.deepEqual(await this.processes(), []);
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** One launcher for one test. */
export async function withLauncher(use: (bed: Bed) => Promise<void>): Promise<void> {
  const bed = await Bed.make();
  await bed.start();
  try {
    await use(bed);
  } catch (thrown) {
    console.error(bed.launcher.log.join("\n"));
    await bed.close().catch((also) => console.error("while cleaning up:", also));
    throw thrown;
  }
  await bed.close();
}

export function localpart(name: string): string {
  return `bureau/fleet/dev/agent/${name}`;
}

export function bundleFor(
  name: string,
  credentials: CredentialBundle["credentials"] = {},
): CredentialBundle {
  return { version: 1, principal: `@${localpart(name)}:${SERVER}`, credentials };
}

async function lines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  let pending = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (pending + chunk).split("\n");
    pending = parts.pop()!;
    for (const part of parts) onLine(part);
  }
}
