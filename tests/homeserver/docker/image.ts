// SPDX-License-Identifier: Apache-2.0

/** An image of Synapse, made here: a Debian that debootstrap made, and Synapse from PyPI. No image registry is asked. */
import { Machine, whyNot } from "../../slow/machine/machine.ts";
import { SYNAPSE_VERSION } from "../synapse.ts";
import { CACHE } from "../debian.ts";
import type { Engine } from "./engine.ts";

export const IMAGE = `bureau-test/synapse:${SYNAPSE_VERSION}`;
/** Of the base, which Synapse needs none of. */
const LEFT_OUT = ["usr/share/nodejs", "usr/share/doc", "usr/share/man", "usr/lib/node_modules"]
  .concat(["usr/include", "usr/lib/git-core", "usr/lib/gcc", "var/cache", "var/lib/apt", "root"]);
/** An older archive is made anew: 7 days. */
const CACHE_MS = 7 * 24 * 3600_000;

/** Brings the image into the engine. @returns why it can't, or null */
export async function importImage(engine: Engine): Promise<string | null> {
  const why = whyNot();
  if (why !== null) return why;
  const archive = await cachedArchive();
  const entry = 'ENTRYPOINT ["/opt/synapse/bin/python", "-m", "synapse.app.homeserver"]';
  const done = await engine.docker("import", "--change", entry, archive, IMAGE);
  if (done.code !== 0) throw new Error(`Cannot import the image: ${done.stderr}`);
  return null;
}

async function cachedArchive(): Promise<string> {
  const archive = `${CACHE}/synapse-${SYNAPSE_VERSION}-${Deno.build.arch}.tar.gz`;
  await Deno.mkdir(CACHE, { recursive: true, mode: 0o700 });
  using lock = await Deno.open(`${archive}.lock`, { create: true, write: true });
  await lock.lock(true);
  const present = await Deno.stat(archive).catch(() => null);
  if (present !== null && Date.now() - (present.mtime?.getTime() ?? 0) < CACHE_MS) return archive;
  const base = await Deno.makeTempDir({ prefix: "b-img-" });
  try {
    {
      await using machine = await Machine.boot(base);
      const installed = await machine.run(
        "export DEBIAN_FRONTEND=noninteractive && apt-get update -qq && " +
          "apt-get install -y -qq --no-install-recommends python3-venv && " +
          "python3 -m venv /opt/synapse && /opt/synapse/bin/pip install --quiet " +
          `--disable-pip-version-check --no-cache-dir matrix-synapse==${SYNAPSE_VERSION}`,
      );
      if (installed.code !== 0) throw new Error(`Cannot make the image: ${installed.stderr}`);
    }
    const packed = await new Deno.Command("tar", {
      args: ["--create", "--numeric-owner", "--use-compress-program=gzip -1"]
        .concat(LEFT_OUT.map((path) => `--exclude=./${path}/*`))
        .concat(["--file", `${archive}.new`, "--directory", `${base}/root`, "."]),
      stdin: "null",
    }).output();
    if (!packed.success) throw new Error(new TextDecoder().decode(packed.stderr));
    await Deno.rename(`${archive}.new`, archive);
    return archive;
  } finally {
    await new Deno.Command("rm", { args: ["-rf", "--one-file-system", base] }).output();
  }
}
