// SPDX-License-Identifier: Apache-2.0

/** Verdaccio, a registry by other people, over TLS; it knows no other registry, and nobody without a token. */
import { waitFor } from "../wait.ts";
import { type Authority, DOMAIN, type Served } from "./tls.ts";

export interface Registry extends Served {
  /** Of an account that may publish. Secret. */
  readonly token: string;
  /** Everything it logged. */
  readonly log: () => string;
}

/** @param installed where verdaccio's `node_modules` are */
export async function startVerdaccio(
  dir: string,
  installed: string,
  authority: Authority,
): Promise<Registry> {
  await Deno.mkdir(dir, { recursive: true });
  const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = probe.addr;
  probe.close();
  for (const name of ["cert", "key"] as const) {
    await Deno.writeTextFile(`${dir}/${name}.pem`, authority[name], { mode: 0o600 });
  }
  await Deno.writeTextFile(`${dir}/config.yaml`, configuration(dir));
  const child = new Deno.Command("/usr/bin/node", {
    args: [
      `${installed}/node_modules/verdaccio/bin/verdaccio`,
      ...["--config", `${dir}/config.yaml`, "--listen", `https://127.0.0.1:${port}`],
    ],
    cwd: dir,
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin", HOME: dir },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let log = "";
  const logged = [child.stdout, child.stderr].map((stream) =>
    stream.pipeThrough(new TextDecoderStream()).pipeTo(
      new WritableStream({ write: (text) => void (log += text) }),
    )
  );
  const client = Deno.createHttpClient({ caCerts: [authority.ca] });
  let ended = false;
  child.status.then(() => ended = true);
  const stop = async () => {
    client.close();
    if (!ended) child.kill("SIGKILL");
    await Promise.all([child.status, ...logged]);
  };
  try {
    await waitFor("verdaccio serves", async () => {
      if (ended) throw new Error(log);
      const answer = await fetch(`https://localhost:${port}/-/ping`, { client }).catch(() => null);
      await answer?.body?.cancel();
      return answer?.ok === true;
    }, 60_000);
    const answer = await fetch(`https://localhost:${port}/-/user/org.couchdb.user:ada`, {
      client,
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "ada", password: crypto.randomUUID(), type: "user" }),
    });
    const { token } = await answer.json();
    return { host: `npm.${DOMAIN}`, port, token, log: () => log, [Symbol.asyncDispose]: stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

function configuration(dir: string): string {
  return `
storage: ${dir}/storage
auth:
  htpasswd:
    file: ${dir}/htpasswd
    algorithm: bcrypt
    rounds: 4
https: { cert: ${dir}/cert.pem, key: ${dir}/key.pem }
packages:
  "**": { access: $authenticated, publish: $authenticated }
web: { enable: false }
log: { type: stdout, format: json, level: warn }
`;
}
