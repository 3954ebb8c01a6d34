// SPDX-License-Identifier: Apache-2.0

/** An authorization server and an API of its own: tokens live for a while, refresh tokens work once. */

export interface TestOauth {
  readonly port: number;
  /** Every token request, as fields. */
  readonly asked: Record<string, string>[];
  /** What the API takes now. */
  token: string;
  /** What the next refresh takes. */
  refresh: string;
  /** Answers instead of the next token request. */
  fail: (() => Response) | null;
  /** Of the next tokens; null: not said. */
  expiresIn: number | null;
  /** Makes every token that was given out worthless. */
  revoke(): void;
  stop(): Promise<void>;
}

export function startOauth(): TestOauth {
  const api = {
    asked: [] as Record<string, string>[],
    token: "access-token-0",
    refresh: "refresh-token-0",
    fail: null as (() => Response) | null,
    expiresIn: 3600 as number | null,
    revoke: () => void (api.token = "nobody-has-this"),
  };
  let count = 0;
  const renew = async (request: Request): Promise<Response> => {
    const isJson = request.headers.get("content-type") === "application/json";
    const fields: Record<string, string> = isJson
      ? await request.json()
      : Object.fromEntries(new URLSearchParams(await request.text()));
    api.asked.push(fields);
    if (api.fail !== null) return api.fail();
    if (fields["grant_type"] !== "refresh_token" || fields["refresh_token"] !== api.refresh) {
      return Response.json({ error: "invalid_grant", echo: fields }, { status: 400 });
    }
    count++;
    api.token = `access-token-${count}`;
    api.refresh = `refresh-token-${count}`;
    return Response.json({
      access_token: api.token,
      refresh_token: api.refresh,
      token_type: "bearer",
      ...(api.expiresIn === null ? {} : { expires_in: api.expiresIn }),
    });
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/oauth/token") return await renew(request);
    const body = await request.text();
    const given = request.headers.get("authorization") ?? "";
    if (given !== `Bearer ${api.token}`) {
      return Response.json({ given }, { status: 401 });
    }
    return Response.json({
      body,
      beta: request.headers.get("anthropic-beta"),
      // In another spelling than the one that is taken out of answers.
      reached: [...given].reverse().join(""),
      echo: given,
    });
  });
  return Object.assign(api, { port: server.addr.port, stop: () => server.shutdown() });
}
