// SPDX-License-Identifier: Apache-2.0

/** A server with tools that tests make, rights that they change, and the official client in front of it. */
// @ts-types="@modelcontextprotocol/sdk/client/index"
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
// @ts-types="@modelcontextprotocol/sdk/inMemory"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { systemClock } from "../../lib/clock.ts";
import type { ProxyPolicy } from "../../lib/schema/events.ts";
import { Catalog } from "../catalog.ts";
import { HttpFront } from "../http.ts";
import { loadSdk } from "../load.ts";
import type { Resource } from "../resources.ts";
import { Rights } from "../rights.ts";
import { createMcpServer } from "../server.ts";
import type { Effect, JsonObject, PropertySchema, Tool } from "../tool.ts";

// @ts-types="@modelcontextprotocol/sdk/client/index"
export { Client } from "@modelcontextprotocol/sdk/client/index.js";

export interface ToolGiven {
  readonly name: string;
  readonly call?: Tool["call"];
  readonly description?: string;
  readonly effect?: Effect;
  readonly properties?: Record<string, PropertySchema>;
  readonly required?: readonly string[];
  readonly outputSchema?: JsonObject;
  readonly category?: string;
}

/** Under the action `command/<name>`. */
export function tool(given: ToolGiven): Tool {
  const { name, properties = {}, required = [], category = "test" } = given;
  return {
    name,
    title: name,
    description: given.description ?? `What ${name} does`,
    category,
    inputSchema: { type: "object", properties, required, additionalProperties: false },
    ...(given.outputSchema === undefined ? {} : { outputSchema: given.outputSchema }),
    effect: given.effect ?? "reads",
    idempotent: false,
    openWorld: false,
    actions: [`command/${name}`],
    call: given.call ?? (() => Promise.resolve({ by: name })),
  };
}

/** A server over HTTP on loopback, of a scene's tools. @param names by which a client may call it */
export async function withFront(
  { catalog }: Scene,
  { token, resources = [], names = ["127.0.0.1"] }: {
    readonly token: string | null;
    readonly resources?: readonly Resource[];
    readonly names?: readonly string[];
  },
  use: (url: URL) => Promise<void>,
): Promise<void> {
  const sdk = await loadSdk();
  const clock = systemClock;
  const hosts = new Set<string>();
  const rest = { version: "1", progressive: false, instructions: "", clock };
  const makeServer = () => createMcpServer(sdk, { catalog, resources, ...rest });
  const front = new HttpFront({ sdk, path: "/mcp", hosts, token, clock, makeServer });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, front.handle);
  for (const name of names) hosts.add(`${name}:${server.addr.port}`);
  try {
    await use(new URL(`http://127.0.0.1:${server.addr.port}/mcp`));
  } finally {
    await front.close();
    await server.shutdown();
  }
}

export interface SceneOptions {
  readonly tools?: readonly Tool[];
  readonly resources?: readonly Resource[];
  readonly progressive?: boolean;
  readonly policy?: ProxyPolicy;
}

export const grants = (...actions: string[]): ProxyPolicy => ({
  grants: [{ actions }],
  denials: [],
});

export class Scene implements AsyncDisposable {
  readonly heard: { readonly method: string; readonly params: Record<string, unknown> }[] = [];
  readonly rights: Rights;
  readonly catalog: Catalog;
  policy: ProxyPolicy | Error;
  client!: Client;
  readonly #stop = new AbortController();
  readonly #options: SceneOptions;

  private constructor(options: SceneOptions) {
    this.#options = options;
    this.policy = options.policy ?? grants("**");
    this.rights = new Rights({
      read: () =>
        this.policy instanceof Error ? Promise.reject(this.policy) : Promise.resolve(this.policy),
      clock: systemClock,
      everyMs: 60_000,
      signal: this.#stop.signal,
    });
    this.catalog = new Catalog(options.tools ?? [], this.rights);
  }

  static async start(options: SceneOptions = {}): Promise<Scene> {
    const scene = new Scene(options);
    scene.client = await scene.connect();
    return scene;
  }

  async makeServer() {
    return createMcpServer(await loadSdk(), {
      catalog: this.catalog,
      resources: this.#options.resources ?? [],
      version: "1",
      progressive: this.#options.progressive ?? false,
      instructions: "A test.",
      clock: systemClock,
    });
  }

  /** Another client of the same. */
  async connect(): Promise<Client> {
    const server = await this.makeServer();
    const client = new Client({ name: "test", version: "1" }, { capabilities: {} });
    client.fallbackNotificationHandler = (notification) => {
      this.heard.push(notification as never);
      return Promise.resolve();
    };
    const [ours, theirs] = InMemoryTransport.createLinkedPair();
    await Promise.all([server.connect(ours), client.connect(theirs)]);
    return client;
  }

  /** Other rights from now on, as the next look finds them. */
  async grant(policy: ProxyPolicy | Error): Promise<void> {
    this.policy = policy;
    await this.rights.refresh();
  }

  async names(): Promise<string[]> {
    return (await this.client.listTools()).tools.map(({ name }) => name);
  }

  async call(name: string, args: JsonObject = {}): Promise<Answer> {
    return await this.client.callTool({ name, arguments: args }) as unknown as Answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.client.close();
  }
}

export interface Answer {
  readonly content: readonly { readonly text: string }[];
  readonly structuredContent?: Record<string, unknown>;
  readonly isError?: boolean;
}

export interface Failure {
  readonly category: string;
  readonly retryable: boolean;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** Of an answer that is an error. */
export function failureIn(answer: Answer): Failure {
  if (answer.isError !== true) throw new Error(`no error: ${JSON.stringify(answer)}`);
  return JSON.parse(answer.content[0]!.text).error;
}

/** Until it holds, for a minute at most. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error("it did not come to that within a minute");
    await systemClock.sleep(20);
  }
}
