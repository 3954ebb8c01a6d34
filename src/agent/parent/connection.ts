// SPDX-License-Identifier: Apache-2.0

/** A parent's line to one worker: one run at a time, each with one outcome. */
import { messageOf } from "../../lib/errors.ts";
import { type DiscoveryRecord, socketOf } from "../fabric/mod.ts";
import { sameSecret } from "../../lib/bearer.ts";
import { UNIX_HOST } from "../../lib/http/client.ts";
import { proofOf } from "../worker/auth.ts";
import { type ParentMessage, readWorkerFrame } from "../worker/frames.ts";
import { ParentError } from "./errors.ts";

/** How long a worker may take to answer, where it has nothing to do but that. */
const ANSWER_MS = 10_000;

export interface RunRequest {
  readonly assignment: string;
  readonly reasoning_effort?: string;
  readonly messages?: readonly unknown[];
}

export interface RunHandlers {
  /** In order. */
  onEvent?(event: unknown): void;
  /** Absent, or failing: denied. @param over aborted when the run ended before there was an answer */
  onApproval?(body: unknown, over: AbortSignal): Promise<boolean>;
}

/** `timeout`: the parent's own watch ended it. */
export type RunOutcome =
  | { readonly status: "completed"; readonly result: string }
  | { readonly status: "error" | "timeout"; readonly error: string }
  | { readonly status: "cancelled" };

export interface Address {
  readonly record: Pick<DiscoveryRecord, "agent_id" | "endpoint">;
  /** Absent: whoever is at the endpoint is believed. */
  readonly token?: string;
}

interface Active {
  readonly handlers: RunHandlers;
  readonly outcome: PromiseWithResolvers<RunOutcome>;
  readonly over: AbortController;
}

/**
 * Asks whoever is at a record's endpoint to prove that the record is its own.
 * @throws {ParentError} `no-answer`, `impostor`
 */
export async function probe({ record, token }: Address): Promise<void> {
  using client = clientOf(record.endpoint);
  const challenge = crypto.randomUUID();
  let answer: { agent_id?: unknown; proof?: unknown };
  try {
    const response = await fetch(`http://${UNIX_HOST}/v1/worker`, {
      client: client.http,
      headers: { "x-bureau-challenge": challenge },
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    answer = JSON.parse((await response.text()).slice(0, 4096));
  } catch (thrown) {
    throw new ParentError(
      "no-answer",
      `Cannot reach the worker "${record.agent_id}": it does not answer at "${record.endpoint}" (${
        messageOf(thrown)
      })`,
      "its record is older than its end; it will be removed",
      thrown,
    );
  }
  const isProven = token === undefined ||
    sameSecret(String(answer.proof), await proofOf(token, challenge));
  if (answer.agent_id === record.agent_id && isProven) return;
  throw new ParentError(
    "impostor",
    `Cannot use the worker "${record.agent_id}": another program answers at its endpoint`,
    "somebody else writes into its fabric_dir",
  );
}

export class WorkerConnection {
  readonly #socket: WebSocket;
  readonly #carrier: Disposable | undefined;
  #active: Active | null = null;
  #closed = false;

  /**
   * @param socket open, at somebody who takes runs
   * @param carrier what it came by; ends when it is closed
   */
  constructor(socket: WebSocket, carrier?: Disposable) {
    this.#socket = socket;
    this.#carrier = carrier;
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onerror = () => {};
    socket.onclose = ({ reason }) => this.#lost(reason || "the worker closed the connection");
  }

  /** @throws {ParentError} `no-answer`, `refused` */
  static async open({ record, token }: Address): Promise<WorkerConnection> {
    const client = clientOf(record.endpoint);
    const socket = new WebSocket(`ws://${UNIX_HOST}/v1/run`, {
      client: client.http,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    try {
      await opened(socket, ANSWER_MS);
      return new WorkerConnection(socket, client);
    } catch (thrown) {
      const why = messageOf(thrown);
      client[Symbol.dispose]();
      const isRefusal = /\b(401|503)\b/.test(why);
      throw new ParentError(
        isRefusal ? "refused" : "no-answer",
        `Cannot connect to the worker "${record.agent_id}": ${
          isRefusal ? "it has another parent" : "it does not answer"
        }`,
        undefined,
        thrown,
      );
    }
  }

  get isOpen(): boolean {
    return !this.#closed;
  }

  /** One at a time. Never rejects for what the worker does: that is the outcome. */
  run(request: RunRequest, handlers: RunHandlers = {}): Promise<RunOutcome> {
    if (this.#active !== null) throw new Error("a run is on already");
    if (this.#closed) {
      return Promise.resolve({ status: "error", error: "the connection to the worker is closed" });
    }
    this.#active = { handlers, outcome: Promise.withResolvers(), over: new AbortController() };
    this.#send({ kind: "run", ...request, messages: request.messages as null[] | undefined });
    return this.#active.outcome.promise;
  }

  /** The worker says when it has; a parent that can't wait closes. */
  cancel(): void {
    this.#send({ kind: "cancel" });
  }

  /** For the run that is on, at the next moment at which it listens. */
  message(text: string): void {
    this.#send({ kind: "message", text });
  }

  close(): void {
    if (!this.#closed) this.#socket.close();
    this.#lost("the parent closed the connection");
  }

  #send(frame: ParentMessage): void {
    if (!this.#closed) this.#socket.send(JSON.stringify(frame));
  }

  #receive(data: unknown): void {
    const active = this.#active;
    // What comes after a run's end is of nobody's interest.
    if (active === null) return;
    const frame = readWorkerFrame(data);
    switch (frame?.kind) {
      case "event":
        active.handlers.onEvent?.(frame.event);
        break;
      case "approval_request":
        void this.#ask(active, frame.id, frame.body);
        break;
      case "terminal":
        this.#active = null;
        active.over.abort();
        active.outcome.resolve(outcomeOf(frame));
        break;
      default:
        // Whoever says what no worker says may say anything next.
        this.#lost("the worker said what no worker says");
        this.#socket.close();
    }
  }

  async #ask(active: Active, id: string, body: unknown): Promise<void> {
    let approved = false;
    try {
      approved = await active.handlers.onApproval?.(body, active.over.signal) ?? false;
    } catch {
      // Nobody decided: denied.
    }
    if (this.#active === active) this.#send({ kind: "approval_reply", id, approved });
  }

  #lost(why: string): void {
    if (!this.#closed) {
      this.#closed = true;
      this.#carrier?.[Symbol.dispose]();
    }
    const active = this.#active;
    this.#active = null;
    active?.over.abort();
    active?.outcome.resolve({ status: "error", error: why });
  }
}

/** @throws with what the other end, or the way to it, said; the socket is closed then */
export async function opened(socket: WebSocket, ms: number): Promise<void> {
  const open = Promise.withResolvers<void>();
  socket.onopen = () => open.resolve();
  socket.onerror = (event) => open.reject(new Error((event as ErrorEvent).message));
  const timer = setTimeout(() => open.reject(new Error("it took too long")), ms);
  try {
    await open.promise;
  } catch (thrown) {
    socket.onerror = () => {};
    socket.close();
    throw thrown;
  } finally {
    clearTimeout(timer);
  }
}

function outcomeOf(
  frame: { status: string; result?: string | undefined; error?: string | undefined },
): RunOutcome {
  switch (frame.status) {
    case "completed":
      return { status: "completed", result: frame.result ?? "" };
    case "cancelled":
      return { status: "cancelled" };
    case "suspended":
      return { status: "error", error: "the worker suspended it, which nobody here can take up" };
    default:
      return { status: "error", error: frame.error ?? "the worker did not say why" };
  }
}

interface Client extends Disposable {
  readonly http: Deno.HttpClient;
}

function clientOf(endpoint: string): Client {
  const path = socketOf(endpoint);
  if (path === null) {
    throw new ParentError("bad-placement", `Cannot connect to "${endpoint}": not a local socket`);
  }
  return unixClient(path);
}

export function unixClient(path: string): Client {
  const http = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  return { http, [Symbol.dispose]: () => http.close() };
}
