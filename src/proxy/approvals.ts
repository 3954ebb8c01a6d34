// SPDX-License-Identifier: Apache-2.0

/**
 * Tool calls that an agent asks leave for. This proxy only carries questions to the daemon, by the watch stream, and
 * answers back: what it knows dies with it, and callers then ask again under the same key.
 */
import { KEY, MAX_RESOURCE, MAX_TOOL, PERMISSIONS } from "../lib/approval/limits.ts";
// With more than its types would come zod.
import type { Answer, ApprovalRequest } from "../lib/approval/types.ts";
import { badRequest, ProxyError } from "./errors.ts";

/** Questions at once; the daemon has a limit of its own. */
export const MAX_OPEN_APPROVALS = 16;
/** A caller waits so long; then it is told that nothing is decided yet, and asks again. */
const POLL_MS = 25_000;
/** A caller that has not come back by then has given up. */
const RETURN_MS = 30_000;

/** What the daemon hears. */
export interface ApprovalNews {
  /** At the beginning of a watch what is open, and taken lately; afterwards what is new. */
  readonly asked?: readonly ApprovalRequest[];
  /** Keys whose answer has reached its caller. */
  readonly taken?: readonly string[];
  /** Keys whose caller has given up. */
  readonly left?: readonly string[];
}

interface Open {
  readonly request: ApprovalRequest;
  answer: Answer | null;
  /** Its answer is on its way to a caller. */
  isHanded: boolean;
  /** The newest caller; each key has one. */
  waiter: (() => void) | null;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** @throws {ProxyError} 400 */
export function parseApproval(json: Record<string, unknown>): ApprovalRequest {
  const { key, tool, permission, resource } = json;
  if (typeof key !== "string" || !KEY.test(key)) {
    throw badRequest('"key" is not 16 to 64 letters, digits, "-" and "_"');
  }
  if (typeof tool !== "string" || tool === "" || tool.length > MAX_TOOL) {
    throw badRequest(`"tool" is no name of at most ${MAX_TOOL} characters`);
  }
  const known = PERMISSIONS.find((one) => one === permission);
  if (known === undefined) throw badRequest(`"permission" is none of ${PERMISSIONS.join(", ")}`);
  if (typeof resource !== "string" || resource.length > MAX_RESOURCE) {
    throw badRequest(`"resource" is no text of at most ${MAX_RESOURCE} characters`);
  }
  // What is shown must be what is meant: nothing is cut, and nothing stands for what can't be shown.
  if (!tool.isWellFormed() || !resource.isWellFormed()) {
    throw badRequest("it holds half characters");
  }
  return { key, tool, permission: known, resource };
}

export class ProxyApprovals {
  readonly #open = new Map<string, Open>();
  /** The last: whoever listens next may not have heard of them. */
  readonly #taken: string[] = [];
  #listener: ((news: ApprovalNews) => void) | null = null;

  /**
   * @returns null: nothing is decided yet, ask again
   * @throws {ProxyError} `too-many-approvals`, 429
   */
  async ask(request: ApprovalRequest, completed: Promise<void>): Promise<Answer | null> {
    const { key } = request;
    let open = this.#open.get(key);
    if (open !== undefined && !isSame(open.request, request)) {
      throw keyUsed();
    }
    if (open === undefined) {
      if (this.#open.size >= MAX_OPEN_APPROVALS) {
        throw new ProxyError(
          "too-many-approvals",
          `Cannot ask: ${MAX_OPEN_APPROVALS} questions of this principal are open already`,
          { status: 429, hint: "wait until some are answered" },
        );
      }
      open = { request, answer: null, isHanded: false, waiter: null, timer: undefined };
      this.#open.set(key, open);
      this.#listener?.({ asked: [request] });
    }
    if (open.answer === null) await this.#wait(open, completed);
    const { answer } = open;
    if (answer !== null) {
      if (open.isHanded) throw keyUsed();
      open.isHanded = true;
    }
    const isMine = this.#open.get(key) === open;
    const done = (arrived: boolean) => {
      if (this.#open.get(key) !== open) return;
      if (answer !== null && arrived) {
        this.#drop(key, open);
        this.#taken.push(key);
        if (this.#taken.length > MAX_OPEN_APPROVALS) this.#taken.shift();
        this.#listener?.({ taken: [key] });
        return;
      }
      if (answer !== null) open.isHanded = false;
      this.#expect(key, open);
    };
    if (isMine) completed.then(() => done(true), () => done(false));
    return answer;
  }

  /** The daemon's. @returns whether anybody asked */
  answer(key: string, answer: Answer): boolean {
    const open = this.#open.get(key);
    if (open === undefined) return false;
    open.answer ??= answer;
    open.waiter?.();
    return true;
  }

  /** One listener, the newest, which hears at once what is open. @returns the unsubscriber */
  listen(listener: (news: ApprovalNews) => void): () => void {
    this.#listener = listener;
    const asked = [...this.#open.values()].map(({ request }) => request);
    const taken = [...this.#taken];
    if (asked.length + taken.length > 0) listener({ asked, taken });
    return () => {
      if (this.#listener === listener) this.#listener = null;
    };
  }

  /** Whoever waits is told to ask again, elsewhere. */
  close(): void {
    for (const [key, open] of [...this.#open]) {
      this.#drop(key, open);
      open.waiter?.();
    }
  }

  #wait(open: Open, completed: Promise<void>): Promise<void> {
    // An earlier caller is gone, or will ask again.
    open.waiter?.();
    clearTimeout(open.timer);
    return new Promise((resolve) => {
      const end = () => {
        if (open.waiter === end) open.waiter = null;
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(end, POLL_MS);
      open.waiter = end;
      completed.then(end, end);
    });
  }

  /** Its caller should be back soon. */
  #expect(key: string, open: Open): void {
    if (open.waiter !== null) return;
    clearTimeout(open.timer);
    open.timer = setTimeout(() => {
      if (open.waiter !== null || this.#open.get(key) !== open) return;
      this.#drop(key, open);
      this.#listener?.({ left: [key] });
    }, RETURN_MS);
  }

  #drop(key: string, open: Open): void {
    clearTimeout(open.timer);
    this.#open.delete(key);
  }
}

const keyUsed = () =>
  new ProxyError("key-used", "Cannot ask: this key is of another question, or was answered", {
    status: 409,
    hint: "a key of its own for each tool call",
  });

function isSame(a: ApprovalRequest, b: ApprovalRequest): boolean {
  return a.tool === b.tool && a.permission === b.permission && a.resource === b.resource;
}
