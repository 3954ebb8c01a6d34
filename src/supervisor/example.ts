// SPDX-License-Identifier: Apache-2.0

/** The agent that a first `up` shows, and the timestamp authority whose credential it uses. */
import { BureauError } from "../lib/errors.ts";
import type { Paths } from "../lib/process/mod.ts";
import type { Commands } from "./commands.ts";
import { readMarker, sha256Hex, writePrivate } from "./files.ts";
import type { UpOptions } from "./options.ts";

export const EXAMPLE_AGENT = "agent/scribe";

export interface ExampleContext {
  readonly options: UpOptions;
  readonly paths: Paths;
  readonly commands: Commands;
  /** Starts and keeps the authority. */
  readonly authority: (bootstrap: () => Promise<unknown>) => Promise<void>;
}

/**
 * The authority's API key is made here and sealed by `agent create`; only its hash is written down. A
 * later start finds the hash and keeps what is sealed, unless the agent was destroyed meanwhile.
 */
export async function startExample(context: ExampleContext): Promise<void> {
  const { paths } = context;
  const marker = `${paths.operator}/example.json`;
  const known = await readMarker(marker);
  if (known !== null) {
    try {
      await createExample(context, null);
      return await startAuthority(context, known);
    } catch (thrown) {
      if (!(thrown instanceof BureauError) || thrown.code !== "no-credentials") throw thrown;
    }
  }
  const apiKey = crypto.getRandomValues(new Uint8Array(32)).toHex();
  const hash = await sha256Hex(apiKey);
  await startAuthority(context, hash);
  await createExample(context, apiKey);
  await writePrivate(marker, JSON.stringify({ api_key_sha256: hash }));
}

function startAuthority(
  { options, paths, authority }: ExampleContext,
  hash: string,
): Promise<void> {
  const { hostname, port } = options.authority;
  return authority(() =>
    Promise.resolve({
      version: 1,
      listen: { hostname, port },
      state_dir: paths.authority,
      host: "localhost",
      api_key_sha256: hash,
    })
  );
}

/** @param apiKey secret; null keeps what is sealed */
async function createExample(
  { options, paths, commands }: ExampleContext,
  apiKey: string | null,
): Promise<void> {
  const { port } = options.authority;
  await commands.oneShot("bureau", ["agent", "create", EXAMPLE_AGENT, "--from-stdin"], {
    version: 1,
    template: "bureau/template:scribe",
    repo: options.repo,
    variables: {
      AGENT_DIR: `${paths.agents}/scribe`,
      TIMESTAMP_URL: `https://localhost:${port}`,
      TIMESTAMP_HOST: `localhost:${port}`,
    },
    credentials: apiKey === null ? null : {
      TIMESTAMP_API_KEY: {
        value: apiKey,
        allowed_hosts: [`localhost:${port}`],
        ca: await Deno.readTextFile(`${paths.authority}/ca.pem`),
      },
    },
  });
}
