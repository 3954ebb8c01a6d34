// SPDX-License-Identifier: Apache-2.0

/**
 * An agent's clone of a repository of 20,000 files, and a look at a small change in it: what the command does between its
 * processes' starts (the cell that reads the work, and the quarantine), against `git clone` and `git diff` by hand.
 */
import { diffOf } from "../../src/cli/agent/work/diff.ts";
import { Scene } from "../../src/cli/agent/work/testing.ts";
import { percentile, report } from "./report.ts";

const FILES = 20_000;
const ROUNDS = 5;

const timed = async (act: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await act();
  return performance.now() - start;
};

await using scene = await Scene.make();
for (let dir = 0; dir < FILES / 100; dir++) {
  await Deno.mkdir(`${scene.dir}/source/d${dir}`);
  await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      Deno.writeTextFile(
        `${scene.dir}/source/d${dir}/f${index}.ts`,
        `export const a${dir}_${index} = ${Math.random()};\n`.repeat(40),
      )),
  );
}
await scene.commit("source", {}, "20,000 files");
await scene.git("source", "gc", "--quiet");

const clone = async (name: string, ...how: string[]) =>
  await timed(() => scene.git("source", "clone", "--quiet", ...how, ".", `${scene.dir}/${name}`));
const linked = await clone("linked");
const copied = await clone("copied", "--no-hardlinks");
const ours = await timed(() => scene.agent("a"));
report({
  id: "repository.clone",
  value: ours / 1000,
  unit: "s",
  alternative: { name: "git clone with linked objects", value: linked / 1000 },
  note: `git clone --no-hardlinks: ${(copied / 1000).toFixed(2)} s`,
});

const dir = `${scene.dir}/workspaces/${
  [...Deno.readDirSync(`${scene.dir}/workspaces`)][0]!.name
}/repo`;
await scene.commit(dir, { "d1/f1.ts": "changed\n" }, "small");
await scene.write(dir, { "d2/f2.ts": "changed too\n" });
const looks: number[] = [];
const plain: number[] = [];
const cold: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  looks.push(
    await timed(async () => {
      await using view = await scene.view("a");
      const { files } = await diffOf(scene.call(), view);
      if (files.length !== 2) throw new Error(`a look shows ${files.length} files instead of 2`);
    }),
  );
  plain.push(await timed(() => scene.git(dir, "diff", "origin/main")));
  await Deno.remove(`${dir}/.git/index`);
  await scene.git(dir, "read-tree", "HEAD");
  cold.push(await timed(() => scene.git(dir, "diff", "origin/main")));
}
report({
  id: "repository.look",
  value: percentile(looks, 0.5) / 1000,
  unit: "s",
  alternative: { name: "git diff, its index warm", value: percentile(plain, 0.5) / 1000 },
  note: `git diff that has to read every file: ${(percentile(cold, 0.5) / 1000).toFixed(2)} s`,
});
