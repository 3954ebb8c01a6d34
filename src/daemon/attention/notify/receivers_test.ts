// SPDX-License-Identifier: Apache-2.0

/** Tests: a webhook's receiver and an ntfy server, on loopback, that take only what their protocols say. */

export interface Hook {
  readonly url: string;
  /** What came in, newest last. */
  readonly bodies: {
    id: string;
    test: boolean;
    title: string;
    body: string;
    events: { account: string; state: string; text?: string }[];
  }[];
  /** Answers of the next requests; then 204. */
  readonly answers: Response[];
  readonly problems: string[];
  requests: number;
  close(): Promise<void>;
}

async function hmac(key: string, text: string): Promise<string> {
  const bytes = new TextEncoder().encode(key);
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign"]);
  const made = await crypto.subtle.sign("HMAC", imported, new TextEncoder().encode(text));
  return new Uint8Array(made).toHex();
}

/** Checks each signature as docs/guide/attention.md says. */
export function startHook(key: string | null): Hook {
  const hook = { bodies: [], answers: [], problems: [], requests: 0 } as unknown as Hook;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const text = await request.text();
    hook.requests++;
    const answer = hook.answers.shift();
    if (answer !== undefined) return answer;
    const [, at, made] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(
      request.headers.get("bureau-signature") ?? "",
    ) ?? [];
    const wanted = key === null ? undefined : await hmac(key, `${at}.${text}`);
    if (made !== wanted) hook.problems.push("signature");
    if (at !== undefined && Math.abs(Number(at) * 1000 - Date.now()) > 600_000) {
      hook.problems.push("time of signature");
    }
    const body = JSON.parse(text);
    if (request.headers.get("bureau-delivery") !== body.id) hook.problems.push("delivery id");
    hook.bodies.push(body);
    return new Response(null, { status: 204 });
  });
  return Object.assign(hook, {
    url: `http://127.0.0.1:${server.addr.port}/hook?team=a`,
    close: () => server.shutdown(),
  });
}

export interface Ntfy {
  /** Of a topic. */
  url(topic: string): string;
  readonly published: Record<string, unknown>[];
  close(): Promise<void>;
}

const FIELDS = new Set(["topic", "title", "message", "priority", "tags", "click"]);

/** The part of ntfy's "publish as JSON" that is used: https://docs.ntfy.sh/publish/#publish-as-json */
export function startNtfy(token: string | null): Ntfy {
  const published: Record<string, unknown>[] = [];
  const refuse = (code: number, http: number, error: string) =>
    Response.json({ code, http, error }, { status: http });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    if (request.method !== "POST" || new URL(request.url).pathname !== "/") {
      return refuse(40401, 404, "page not found");
    }
    const given = request.headers.get("authorization");
    if (given !== (token === null ? null : `Bearer ${token}`)) {
      return refuse(40301, 403, "forbidden");
    }
    const body = await request.json();
    const { topic, title, message, priority, tags, click } = body;
    const isText = (value: unknown) => typeof value === "string" && value.length <= 4_096;
    const isValid = /^[-_A-Za-z0-9]{1,64}$/.test(topic) && isText(title) && isText(message) &&
      Number.isInteger(priority) && priority >= 1 && priority <= 5 &&
      Array.isArray(tags) && tags.every(isText) && (click === undefined || isText(click)) &&
      Object.keys(body).every((name) => FIELDS.has(name));
    if (!isValid) return refuse(40024, 400, "invalid request: request body must be valid JSON");
    published.push(body);
    const id = crypto.randomUUID().slice(0, 12);
    return Response.json({ ...body, id, time: Math.floor(Date.now() / 1000), event: "message" });
  });
  return {
    url: (topic) => `http://127.0.0.1:${server.addr.port}/${topic}`,
    published,
    close: () => server.shutdown(),
  };
}
