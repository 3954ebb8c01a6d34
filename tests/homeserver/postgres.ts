// SPDX-License-Identifier: Apache-2.0

/** The machine's own Postgres with a database in a temporary directory, on loopback, by password. */
import { eventually, freePort, run } from "../e2e/harness.ts";
import type { Unavailable } from "./provider.ts";

const PLACE = "/usr/lib/postgresql";
const NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups"];

export interface Postgres extends AsyncDisposable {
  /** Of psql, pg_dump and whatever else speaks libpq. */
  readonly env: Readonly<Record<string, string>>;
  /** Directory of its programs. */
  readonly bin: string;
}

async function newestBin(): Promise<string | null> {
  try {
    const versions = (await Array.fromAsync(Deno.readDir(PLACE))).map(({ name }) => Number(name));
    return `${PLACE}/${Math.max(...versions)}/bin`;
  } catch {
    return null;
  }
}

/** Root's would not start: as root it runs as nobody. */
function unprivileged(program: string, args: readonly string[]): [string, string[]] {
  const whom = Deno.uid() === 0 ? NOBODY : [];
  return ["setpriv", [...whom, "--pdeathsig=KILL", program, ...args]];
}

/** With a user and a database `synapse`, as the image of deploy/compose makes them. */
export async function startPostgres(password: string): Promise<Postgres | Unavailable> {
  const bin = await newestBin();
  if (bin === null) return { reason: "no Postgres is installed here (Debian's postgresql)" };
  const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-pg-" });
  const remove = () => Deno.remove(dir, { recursive: true });
  await Deno.writeTextFile(`${dir}/password`, password, { mode: 0o600 });
  if (Deno.uid() === 0) {
    await Deno.chown(dir, 65534, 65534);
    await Deno.chown(`${dir}/password`, 65534, 65534);
  }
  const made = await run(
    ...unprivileged(`${bin}/initdb`, [
      ...["--pgdata", `${dir}/data`, "--username=synapse", `--pwfile=${dir}/password`],
      ...["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"],
    ]),
    "/",
  );
  if (made.code !== 0) {
    await remove();
    return { reason: `Postgres makes no database here: ${made.stderr.trim().split("\n")[0]}` };
  }
  const port = freePort();
  const [program, args] = unprivileged(`${bin}/postgres`, [
    ...["-D", `${dir}/data`, "-p", String(port), "-k", dir, "-c", "listen_addresses=127.0.0.1"],
  ]);
  const child = new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" })
    .spawn();
  const env = { PGHOSTADDR: "127.0.0.1", PGPORT: String(port), PGUSER: "synapse" };
  const close = async () => {
    child.kill("SIGINT");
    await child.status;
    await remove();
  };
  try {
    await eventually("Postgres has a database", async () => {
      const { code, stderr } = await new Deno.Command(`${bin}/createdb`, {
        args: ["synapse"],
        env: { ...env, PGPASSWORD: password },
        stdin: "null",
      }).output();
      return code === 0 || new TextDecoder().decode(stderr).includes("already exists");
    }, 60_000);
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return { env, bin, [Symbol.asyncDispose]: close };
}
