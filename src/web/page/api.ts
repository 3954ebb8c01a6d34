// SPDX-License-Identifier: Apache-2.0

/** What the page asks of the daemon, with the browser's session. */

export interface SessionView {
  readonly kind: "link" | "token" | "share";
  readonly user: string | null;
  readonly principal: string | null;
  readonly machine: string | null;
  readonly expires_at: number;
}

export type AttentionState = "failed" | "waiting-approval" | "waiting-input" | "working" | "idle";

/** Of `PrincipalView` what is shown. */
export interface Agent {
  readonly principal: string;
  readonly phase: string;
  readonly watchers: number;
  readonly message: string | null;
  readonly frozen?: true;
  readonly isolation?: "none";
  readonly attention?: {
    readonly state: AttentionState;
    readonly since: number;
    readonly message: string | null;
  };
  readonly last_line?: string;
}

export interface Usage {
  readonly memory_bytes: number | null;
  readonly cpu_ms: number | null;
}

export interface Recording {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly started: number;
  readonly ended: number;
  /** On disk. */
  readonly bytes: number;
  readonly open: boolean;
}

export interface Ask {
  readonly id: string;
  readonly principal: string;
  readonly host: string;
  readonly port: number;
  readonly since: number;
  readonly until: number;
  readonly waiting: number;
}

export interface Approval {
  readonly id: string;
  readonly principal: string;
  readonly tool: string;
  readonly resource: string;
  readonly since: number;
}

export class ApiError extends Error {
  readonly status: number;
  readonly hint: string | undefined;

  constructor(status: number, message: string, hint?: string) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

/** Told once when the session is over. */
export const sessionEnd: { act: () => void } = { act: () => {} };

async function request(path: string, init?: RequestInit): Promise<Response> {
  const response = await fetch(path, { credentials: "same-origin", ...init });
  if (response.ok) return response;
  const body = await response.json().catch(() => null) as
    | { error?: { message?: string; hint?: string } }
    | null;
  if (response.status === 401) sessionEnd.act();
  throw new ApiError(
    response.status,
    body?.error?.message ?? `the answer was ${response.status}`,
    body?.error?.hint,
  );
}

const post = (path: string, body?: unknown) =>
  request(path, {
    method: "POST",
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });

const at = (principal: string, rest = "") =>
  `/v1/principals/${encodeURIComponent(principal)}${rest}`;

export const api = {
  /** Null: nobody is logged in. */
  async session(): Promise<SessionView | null> {
    const response = await fetch("/session");
    if (response.status === 401) return null;
    if (!response.ok) throw new ApiError(response.status, "Bureau does not answer");
    return await response.json() as SessionView;
  },
  login: async (token: string): Promise<void> => void await post("/login", { token }),
  logout: async (): Promise<void> => void await post("/logout"),
  agents: async (): Promise<readonly Agent[]> =>
    (await (await request("/v1/principals")).json()).principals,
  usage: async (principal: string): Promise<Usage> =>
    await (await request(at(principal, "/usage"))).json(),
  recordings: async (principal: string): Promise<readonly Recording[]> =>
    (await (await request(at(principal, "/recordings"))).json()).recordings,
  recording: async (principal: string, id: string): Promise<string> =>
    await (await request(at(principal, `/recordings/${encodeURIComponent(id)}`))).text(),
  decide: async (
    id: string,
    verdict: "approve" | "deny",
    scope: "once" | "for",
    forMs?: number,
  ): Promise<void> =>
    void await post("/v1/asks/decide", {
      ask: id,
      verdict,
      scope,
      ...(forMs === undefined ? {} : { for_ms: forMs }),
    }),
  decideApproval: async (id: string, verdict: "approve" | "deny"): Promise<void> =>
    void await post("/v1/approvals/decide", { id, verdict }),
  observeUrl: (principal: string, query: URLSearchParams): string =>
    `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${
      at(principal, `/observe?${query}`)
    }`,
};
