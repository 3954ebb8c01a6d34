// SPDX-License-Identifier: Apache-2.0

/**
 * A repository of ours for one look, into which an agent's objects come, checked one by one, and in which all that is
 * shown or merged is worked out: with our configuration, and with the source's objects to read. It is gone after.
 */
import { neutraliseLine } from "../../../lib/terminal/mod.ts";
import { git, type GitAnswer } from "../git.ts";
import { CliError } from "../../framework/exit.ts";
import type { SourceRepository } from "./source.ts";
import type { CollectedWork } from "./stream.ts";

const STALE_MS = 24 * 3_600_000;
/** Packed; the cell sends no more than 2 GiB unpacked. */
const MAX_PACK_BYTES = 2200 * 2 ** 20;

export class Quarantine implements AsyncDisposable {
  readonly #operatorDir: string;
  readonly #signal: AbortSignal;

  private constructor(operatorDir: string, readonly dir: string, signal: AbortSignal) {
    this.#operatorDir = operatorDir;
    this.#signal = signal;
  }

  /** @throws {CliError} `no-source` */
  static async make(
    operatorDir: string,
    source: SourceRepository,
    signal: AbortSignal,
  ): Promise<Quarantine> {
    const objects = await source.objectsDir();
    if (objects === null || /["\n]/.test(objects)) {
      throw new CliError("no-source", `Cannot use the repository "${source.path}"`, {
        hint:
          "it is where the agent's clone came from; put it back, or `bureau agent discard` its work",
      });
    }
    const parent = `${operatorDir}/repositories`;
    await Deno.mkdir(parent, { recursive: true, mode: 0o700 });
    await removeStale(parent);
    const dir = await Deno.makeTempDir({ dir: parent, prefix: "look-" });
    const quarantine = new Quarantine(operatorDir, dir, signal);
    await Deno.mkdir(`${dir}/objects/info`, { recursive: true });
    await Deno.mkdir(`${dir}/refs`);
    await Deno.writeTextFile(`${dir}/HEAD`, "ref: refs/heads/none\n");
    await Deno.writeTextFile(
      `${dir}/config`,
      "[core]\n\trepositoryformatversion = 1\n\tbare = true\n\tcommitGraph = false\n\tbigFileThreshold = 16m\n" +
        `\tattributesFile = /dev/null\n[extensions]\n\tobjectFormat = ${await source
          .objectFormat()}\n`,
    );
    await Deno.writeTextFile(`${dir}/objects/info/alternates`, `${objects}\n`);
    if ((await source.git(["rev-parse", "--is-shallow-repository"])).stdout.trim() === "true") {
      const roots = await source.git(["rev-list", "--all", "--max-parents=0"]);
      await Deno.writeTextFile(`${dir}/shallow`, roots.stdout);
    }
    return quarantine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.dir, { recursive: true });
  }

  async try(
    args: readonly string[],
    input?: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>,
    env?: Readonly<Record<string, string>>,
  ): Promise<GitAnswer> {
    return await git(this.#operatorDir, args, {
      signal: this.#signal,
      input,
      env: { GIT_DIR: this.dir, ...env },
    });
  }

  async patch(args: readonly string[], maxBytes: number): Promise<GitAnswer> {
    return await git(this.#operatorDir, ["diff", ...args], {
      signal: this.#signal,
      maxBytes,
      env: { GIT_DIR: this.dir },
    });
  }

  /** @throws {CliError} `git` */
  async git(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<string> {
    const answer = await this.try(args, undefined, env);
    if (answer.ok) return answer.stdout.replace(/\n$/, "");
    throw new CliError("git", `Cannot work out what the agent did: ${neutraliseLine(answer.why)}`);
  }

  /** Takes the objects in. @throws {CliError} `bad-objects` */
  async take(work: CollectedWork, have: readonly string[]): Promise<void> {
    if (work.pack !== null) {
      const { ok, why } = await this.try(
        ["index-pack", "--stdin", "--strict", `--max-input-size=${MAX_PACK_BYTES}`],
        work.pack,
      );
      if (!ok) throw bad(why);
    }
    const tips = [work.head, ...(work.snapshot === null ? [] : [work.snapshot])];
    const asked = [...tips, ...have.map((oid) => `^${oid}`)].join("\n");
    const whole = await this.try(
      ["rev-list", "--objects", "--quiet", "--stdin"],
      new TextEncoder().encode(`${asked}\n`),
    );
    if (!whole.ok) throw bad(whole.why);
    for (const tip of tips) {
      if (await this.git(["cat-file", "-t", tip]) !== "commit") throw bad(`${tip} is no commit`);
    }
  }

  /** A pack of `revisions`, as `rev-list --stdin` takes them. @throws {CliError} `git` */
  async packed(
    revisions: Uint8Array<ArrayBuffer>,
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    const { ok, stdout, why } = await this.try(
      ["pack-objects", "--revs", "-q", `${this.dir}/out`],
      revisions,
    );
    if (!ok) throw new CliError("git", `Cannot pack the agent's commits: ${neutraliseLine(why)}`);
    return (await Deno.open(`${this.dir}/out-${stdout.trim()}.pack`)).readable;
  }

  async isAncestor(ancestor: string, descendant: string): Promise<boolean> {
    return (await this.try(["merge-base", "--is-ancestor", ancestor, descendant])).ok;
  }

  async has(oid: string): Promise<boolean> {
    return (await this.try(["cat-file", "-e", `${oid}^{commit}`])).ok;
  }

  async count(...revisions: string[]): Promise<number> {
    return Number(await this.git(["rev-list", "--count", ...revisions]));
  }
}

/** Of looks that were killed; none takes so long. */
async function removeStale(parent: string): Promise<void> {
  for await (const { name } of Deno.readDir(parent)) {
    if (!name.startsWith("look-")) continue;
    const made = (await Deno.lstat(`${parent}/${name}`).catch(() => null))?.mtime?.getTime();
    if (made === undefined || Date.now() - made < STALE_MS) continue;
    await Deno.remove(`${parent}/${name}`, { recursive: true }).catch(() => {});
  }
}

function bad(why: string): CliError {
  return new CliError(
    "bad-objects",
    `Cannot take the agent's commits: ${neutraliseLine(why)}`,
    { hint: "git's own check refuses them; nothing was changed" },
  );
}
