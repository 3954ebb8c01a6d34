// SPDX-License-Identifier: Apache-2.0

/**
 * The orchestrator of `mcp_proxy`: a broker, at it each MCP server in a sandbox of its own, and between them and the
 * workers this hub, by which alone a worker reaches a server. What crosses is mail; the parent reads nobody's protocol.
 */
import { type Clock, systemClock } from "../../../lib/clock.ts";
import { messageOf } from "../../../lib/errors.ts";
import { denoArguments } from "../../../lib/process/grants.ts";
import {
  Broker,
  mcpAddress,
  McpOverMail,
  type OfferedTool,
  serveMcp,
  type ToolResult,
} from "../../mailbox/mod.ts";
import { mcpServersOf } from "../../native/mcp_config.ts";
import type { ProvisionInput } from "../../provision/mod.ts";
import type { McpServers } from "../api.ts";
import { ParentError } from "../errors.ts";
import type { WorkerProcess } from "../launch.ts";
import { RUNTIME, SandboxLauncher, type SandboxOptions } from "../sandbox.ts";
import type { McpBootstrap } from "./server.ts";

const HUB = "hub";
/** A server may fetch itself first, as those of `npx` do. */
const START_MS = 120_000;

/** Starts one server. The document is secret. */
export type StartServer = (
  server: McpServers["servers"][number],
  bootstrap: McpBootstrap,
) => Promise<WorkerProcess>;

export interface HubOptions {
  readonly mcp: McpServers;
  readonly start: StartServer;
  /** Ends them. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
}

interface Server {
  readonly tools: readonly OfferedTool[];
  readonly mail: McpOverMail;
}

export class McpHub implements AsyncDisposable {
  readonly #options: HubOptions;
  readonly #stack = new AsyncDisposableStack();
  /** By address at the broker. */
  readonly #tokens = new Map<string, string>();
  /** Of each but the hub the one that it speaks with. */
  readonly #partners = new Map<string, string>();
  #servers: readonly Server[] = [];

  private constructor(options: HubOptions) {
    this.#options = options;
  }

  /** @throws {ParentError} `no-server`; {McpConfigError} */
  static async start(options: HubOptions): Promise<McpHub> {
    // What can't be read is said before anything is started.
    for (const { config } of options.mcp.servers) mcpServersOf(config);
    const hub = new McpHub(options);
    try {
      await hub.#start();
      return hub;
    } catch (thrown) {
      await hub[Symbol.asyncDispose]();
      throw thrown;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  /** Lets one worker in, under its own token. */
  equip(input: ProvisionInput): ProvisionInput {
    const address = mcpAddress(input.identity.child_id);
    const endpoint = `unix:${this.#socket}`;
    const mcp_proxy = { orchestrator: HUB, endpoint, token: this.#admit(address, HUB) };
    return { ...input, capabilities: { ...input.capabilities, mcp_proxy } };
  }

  get #socket(): string {
    return `${this.#options.mcp.dir}/s/broker.sock`;
  }

  /** @returns its token */
  #admit(address: string, partner?: string): string {
    const token = crypto.getRandomValues(new Uint8Array(32)).toHex();
    this.#tokens.set(address, token);
    if (partner !== undefined) this.#partners.set(address, partner);
    return token;
  }

  async #start(): Promise<void> {
    const { mcp } = this.#options;
    const socket = this.#socket;
    this.#stack.use(
      await Broker.start({
        socket,
        root: `${mcp.dir}/mail`,
        tokenOf: (agent) => this.#tokens.get(agent) ?? null,
        mayDeliver: (from, to) =>
          this.#partners.get(from) === to || this.#partners.get(to) === from,
      }),
    );
    // All of them, so that each that has begun is ended.
    const started = await Promise.allSettled(mcp.servers.map((server) => this.#server(server)));
    this.#servers = started.map((one) => {
      if (one.status === "rejected") throw one.reason;
      return one.value;
    });
    this.#stack.use(
      await serveMcp({
        socket,
        agent: HUB,
        token: this.#admit(HUB),
        toolsFor: () => this.#servers.flatMap(({ tools }) => tools),
        call: ({ tool, input }, signal) => this.#call(tool, input, signal),
      }),
    );
  }

  async #server(server: McpServers["servers"][number]): Promise<Server> {
    const agent = `server/${server.name}`;
    // An address of the hub's own for each: one mailbox has one reader.
    const childId = `${HUB}/${server.name}`;
    const socket = this.#socket;
    const process = await this.#options.start(server, {
      version: 1,
      socket,
      agent,
      config: server.config,
      token: this.#admit(agent, mcpAddress(childId)),
    });
    this.#stack.defer(async () => {
      process.kill();
      await process.exited;
    });
    const mail = this.#stack.use(
      await McpOverMail.connect({
        socket,
        childId,
        orchestrator: agent,
        token: this.#admit(mcpAddress(childId), agent),
      }),
    );
    return { mail, tools: await this.#toolsOf(server.name, mail, process) };
  }

  async #toolsOf(
    name: string,
    mail: McpOverMail,
    process: WorkerProcess,
  ): Promise<readonly OfferedTool[]> {
    const { clock = systemClock, signal } = this.#options;
    signal.addEventListener("abort", () => process.kill(), { once: true });
    if (signal.aborted) process.kill();
    const ended = process.exited.then(({ how, stderr }): never => {
      throw noServer(name, `its sandbox ended ${how}${stderr === "" ? "" : `: ${stderr}`}`);
    });
    ended.catch(() => {});
    for (const deadline = clock.now() + START_MS;;) {
      try {
        return await Promise.race([mail.manifest(), ended]);
      } catch (thrown) {
        if (thrown instanceof ParentError) throw thrown;
        // It has not begun to read its mail.
        if (clock.now() > deadline) throw noServer(name, messageOf(thrown));
      }
    }
  }

  async #call(
    tool: string,
    input: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<ToolResult> {
    const server = this.#servers.find(({ tools }) => tools.some(({ name }) => name === tool))!;
    return await server.mail.call(tool, input, signal);
  }
}

const noServer = (name: string, why: string) =>
  new ParentError("no-server", `Cannot use the MCP server "${name}": ${why}`);

/** In a sandbox that a launcher of its own makes. @param dir for the sockets of their networks */
export function serverInSandbox(
  dir: string,
  options: Omit<SandboxOptions, "document" | "runDir">,
): StartServer {
  let count = 0;
  return async ({ launcher, hosts }, bootstrap) => {
    const { socket } = bootstrap;
    // Launchers that share one take one another's sockets.
    const runDir = `${dir}/n${count++}`;
    await Deno.mkdir(runDir, { mode: 0o700 });
    const sandboxes = new SandboxLauncher({ ...options, runDir, document: launcher });
    const process = await sandboxes.start({
      ...launcher["sandbox"] as Record<string, unknown>,
      command: [
        `${RUNTIME}/deno`,
        ...denoArguments("mcp", RUNTIME).toSpliced(
          -1,
          0,
          // The server is a program; where it stands decides what it may.
          "--allow-run",
          `--allow-net=${[`unix:${socket}`, ...hosts].join(",")}`,
          `--allow-read=${socket}`,
          `--allow-write=${socket}`,
        ),
      ],
      terminal: false,
    }, runDir);
    await process.give(new TextEncoder().encode(JSON.stringify(bootstrap))).catch(() => {
      // Why it ended it says itself.
    });
    return process;
  };
}
