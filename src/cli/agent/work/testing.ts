// SPDX-License-Identifier: Apache-2.0

/** For tests: a source, agents with clones of it, and the cell in which their work is looked at. */
import assert from "node:assert/strict";
import { prepareWorkspace } from "../workspace.ts";
import type { OwnRepository } from "./own.ts";
import { openSource, type View, viewOf } from "./look.ts";
import { readRecord } from "./record.ts";
import { collectCommand } from "./script.ts";
import { type CollectedWork, readStream } from "./stream.ts";

const text = new TextDecoder();
const ENV = {
  PATH: "/usr/bin:/bin",
  HOME: "/nonexistent",
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
};

export class Scene implements AsyncDisposable {
  readonly said: string[] = [];
  private constructor(readonly dir: string) {}

  static async make(): Promise<Scene> {
    const scene = new Scene(await Deno.makeTempDir({ dir: "/tmp", prefix: "b-work" }));
    for (const name of ["operator", "workspaces", "source", "mark"]) {
      await Deno.mkdir(`${scene.dir}/${name}`);
    }
    await scene.git("source", "init", "--quiet", "--initial-branch=main");
    await scene.commit("source", { "a.txt": "one\ntwo\nthree\n", "b.txt": "b\n" }, "first");
    return scene;
  }

  /** Git as a person has it, with all that a repository configures. */
  async git(where: string, ...args: string[]): Promise<string> {
    const { ok, out, err } = await this.tryGit(where, ...args);
    assert.ok(ok, `git ${args.join(" ")}: ${err}`);
    return out;
  }

  async tryGit(where: string, ...args: string[]) {
    const dir = where.startsWith("/") ? where : `${this.dir}/${where}`;
    const done = await new Deno.Command("/usr/bin/git", {
      args: [
        "-C",
        dir,
        "-c",
        "safe.directory=*",
        "-c",
        "gc.auto=0",
        "-c",
        "user.name=Ada",
        "-c",
        "user.email=ada@x",
        ...args,
      ],
      env: ENV,
      clearEnv: true,
      stdin: "null",
    }).output();
    return {
      ok: done.success,
      out: text.decode(done.stdout).trim(),
      err: text.decode(done.stderr),
    };
  }

  async write(where: string, files: Readonly<Record<string, string>>): Promise<void> {
    const dir = where.startsWith("/") ? where : `${this.dir}/${where}`;
    for (const [name, content] of Object.entries(files)) {
      await Deno.mkdir(`${dir}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${dir}/${name}`, content);
    }
  }

  /** @returns the commit */
  async commit(where: string, files: Readonly<Record<string, string>>, message: string) {
    await this.write(where, files);
    await this.git(where, "add", "--all");
    await this.git(where, "commit", "--quiet", "-m", message);
    return await this.git(where, "rev-parse", "HEAD");
  }

  head(ref = "main"): Promise<string> {
    return this.git("source", "rev-parse", ref);
  }

  /** @returns where its clone is */
  agent(name: string, own: Partial<OwnRepository> = {}): Promise<string> {
    return prepareWorkspace({
      stateDir: this.dir,
      localpart: `x/agent/${name}`,
      repo: `${this.dir}/source`,
      writable: true,
      keep: [],
      own: {
        identity: { name, email: `${name}@bureau.local` },
        say: (line) => void this.said.push(line),
        ...own,
      },
    });
  }

  /** As a launcher would make it, and with /mark writable, so that whatever runs in it can tell. */
  async cell(workspace: string, command: readonly string[]) {
    const systems = ["/usr", "/bin", "/lib", "/lib64", "/etc/passwd", "/etc/alternatives"];
    const child = new Deno.Command("/usr/bin/bwrap", {
      args: [
        ...systems.flatMap((path) => ["--ro-bind-try", path, path]),
        ...[
          "--proc",
          "/proc",
          "--dev",
          "/dev",
          "--tmpfs",
          "/tmp",
          "--unshare-all",
          "--die-with-parent",
        ],
        ...["--ro-bind", workspace, "/workspace", "--bind", `${this.dir}/mark`, "/mark"],
        "--",
        ...command,
      ],
      env: ENV,
      clearEnv: true,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const [out, err] = await Promise.all([
      new Response(child.stdout).bytes(),
      new Response(child.stderr).text(),
    ]);
    return { code: (await child.status).code, out, err };
  }

  async collect(name: string, ref: string | null = null): Promise<CollectedWork> {
    const record = (await readRecord(this.dir, `x/agent/${name}`))!;
    const source = await this.source(name);
    const have = [...await source.tips(), ...record.base === null ? [] : [record.base]];
    const { out, err } = await this.cell(
      record.workspace,
      collectCommand({ format: "sha1", ref, have }),
    );
    return await readStream(new Blob([out]).stream()).catch((thrown) => {
      throw err === "" ? thrown : Object.assign(thrown, { message: `${thrown.message}\n${err}` });
    });
  }

  async view(name: string, into?: string): Promise<View> {
    const record = (await readRecord(this.dir, `x/agent/${name}`))!;
    const source = await this.source(name);
    const call = { stateDir: this.dir, signal: AbortSignal.timeout(120_000) };
    return await viewOf(call, record, source, await source.tips(), await this.collect(name), into);
  }

  async source(name: string) {
    const record = (await readRecord(this.dir, `x/agent/${name}`))!;
    return await openSource(
      { stateDir: this.dir, signal: AbortSignal.timeout(120_000) },
      record,
    );
  }

  /** What a handler is asked by; `said` has what it prints. */
  call(flags: Readonly<Record<string, string | boolean>> = {}) {
    return {
      stateDir: this.dir,
      signal: AbortSignal.timeout(120_000),
      flags,
      print: (line: string) => void this.said.push(line),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }
}
