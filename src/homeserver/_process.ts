// SPDX-License-Identifier: Apache-2.0

/** Tests drive the real process, with the permissions that it has in production and no others. */
import { createHmac } from "node:crypto";
import type { HomeserverBootstrap } from "./api.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
export const SECRET = "registration-secret";

export interface Reply {
  readonly status: number;
  // Answers are looked at field by field; a schema for each would hide what a test is about.
  // deno-lint-ignore no-explicit-any
  readonly body: any;
  readonly headers: Headers;
}

export interface User {
  readonly id: string;
  readonly token: string;
  readonly device: string;
  call(method: string, path: string, body?: unknown): Promise<Reply>;
}

export class Server implements AsyncDisposable {
  readonly url: string;
  readonly stateDir: string;
  readonly process: Deno.ChildProcess;
  #ended = false;

  private constructor(url: string, stateDir: string, process: Deno.ChildProcess) {
    this.url = url;
    this.stateDir = stateDir;
    this.process = process;
  }

  /**
   * @param stateDir of an earlier life; absent: a new one
   * @param wrapper a command that ends by becoming the process, e.g. `env --ignore-signal=XFSZ`
   */
  static async start(
    options: Partial<HomeserverBootstrap> & { expectFailure?: boolean } = {},
    stateDir?: string,
    env: Record<string, string> = {},
    wrapper: readonly string[] = [],
  ): Promise<Server> {
    const directory = stateDir ?? await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
    const { line, process } = await spawn(directory, options, env, wrapper);
    if (line["ready"] !== true) {
      await process.status;
      // Nobody gets a server that would remove it.
      if (stateDir === undefined) await Deno.remove(directory, { recursive: true });
      throw Object.assign(new Error("did not start"), { line });
    }
    return new Server(String(line["url"]), directory, process);
  }

  async call(method: string, path: string, token?: string, body?: unknown): Promise<Reply> {
    const response = await fetch(
      `${this.url}${path.startsWith("/") ? path : `/_matrix/client/v3/${path}`}`,
      {
        method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined
          ? {}
          : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      },
    );
    const text = await response.text();
    return {
      status: response.status,
      body: text === "" ? null : JSON.parse(text),
      headers: response.headers,
    };
  }

  async register(username: string, admin = false): Promise<User> {
    const { body: { nonce } } = await this.call("GET", "/_synapse/admin/v1/register");
    const password = `password of ${username}`;
    const mac = createHmac("sha1", SECRET)
      .update([nonce, username, password, admin ? "admin" : "notadmin"].join("\0")).digest("hex");
    const { status, body } = await this.call("POST", "/_synapse/admin/v1/register", undefined, {
      nonce,
      username,
      password,
      admin,
      mac,
    });
    if (status !== 200) throw new Error(`register ${username}: ${status} ${JSON.stringify(body)}`);
    return this.user(body.user_id, body.access_token, body.device_id);
  }

  user(id: string, token: string, device: string): User {
    return {
      id,
      token,
      device,
      call: (method, path, body) => this.call(method, path, token, body),
    };
  }

  /** Ends the process without warning. */
  async kill(): Promise<void> {
    this.#ended = true;
    this.process.kill("SIGKILL");
    await this.process.status;
  }

  async stop(): Promise<Deno.CommandStatus> {
    this.#ended = true;
    this.process.kill("SIGTERM");
    return await this.process.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) await this.kill();
    await Deno.remove(this.stateDir, { recursive: true }).catch(() => {});
  }
}

async function spawn(
  stateDir: string,
  options: Partial<HomeserverBootstrap>,
  env: Record<string, string>,
  wrapper: readonly string[],
): Promise<{ line: Record<string, unknown>; process: Deno.ChildProcess }> {
  const bootstrap: HomeserverBootstrap = {
    version: 1,
    listen: { hostname: "127.0.0.1", port: 0 },
    server_name: "bureau.local",
    state_dir: stateDir,
    registration_shared_secret: SECRET,
    ...options,
  };
  const { hostname, port } = bootstrap.listen;
  const [command = "", ...before] = [...wrapper, Deno.execPath()];
  const process = new Deno.Command(command, {
    args: [
      ...before,
      "run",
      "-q",
      "--no-prompt",
      "--cached-only",
      "--unstable-no-legacy-abort",
      "--config",
      `${ROOT}deno.json`,
      "-P=homeserver",
      "--v8-flags=--max-semi-space-size=1,--max-old-space-size=256",
      `--allow-net=${hostname}:${port}`,
      `--allow-read=${stateDir}`,
      `--allow-write=${stateDir}`,
      `${ROOT}src/cmd/homeserver.ts`,
    ],
    env,
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(bootstrap)));
  await writer.close();
  return { line: JSON.parse(await firstLine(process.stdout)), process };
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    while (!text.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) break;
      text += value;
    }
  } finally {
    await reader.cancel();
  }
  return text;
}
