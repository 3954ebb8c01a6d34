// SPDX-License-Identifier: Apache-2.0

/** One try to deliver one message. To the configured addresses only: a redirect is not followed. */
import { messageOf } from "../../../lib/errors.ts";
import { matrixContent, ntfyBody, webhookBody } from "./message.ts";
import type { Message, NotifyTarget } from "./types.ts";

const DEADLINE_MS = 15_000;
const MAX_RETRY_AFTER_MS = 60 * 60_000;

export type Outcome =
  | { readonly kind: "done" }
  /** Another try may succeed. */
  | { readonly kind: "later"; readonly why: string; readonly afterMs: number | null }
  /** None will. */
  | { readonly kind: "refused"; readonly why: string };

export interface DeliveryOptions {
  /** User id of this machine. */
  readonly machine: string;
  /** Who is called in the room. */
  readonly admins: readonly string[];
  /** Takes it over for certain; the same transaction is said once. */
  readonly post: (content: Record<string, unknown>, txn: string) => Promise<void>;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

export async function deliver(
  target: NotifyTarget,
  message: Message,
  options: DeliveryOptions,
): Promise<Outcome> {
  try {
    if (target.kind === "matrix") {
      const content = matrixContent(target, message, options.admins);
      await options.post(content, `bureau-notify-${message.id}`);
      return { kind: "done" };
    }
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(DEADLINE_MS)]);
    const request = target.kind === "ntfy"
      ? ntfyRequest(target, message)
      : await webhookRequest(target, message, options);
    const response = await fetch(request, { redirect: "manual", signal });
    await response.body?.cancel();
    return outcomeOf(response);
  } catch (thrown) {
    return { kind: "later", why: messageOf(thrown), afterMs: null };
  }
}

function ntfyRequest(target: NotifyTarget, message: Message): Request {
  return new Request(new URL("/", target.url!), {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(target.secret === undefined ? {} : { authorization: `Bearer ${target.secret}` }),
    },
    body: ntfyBody(target, message),
  });
}

async function webhookRequest(
  target: NotifyTarget,
  message: Message,
  { machine, now }: DeliveryOptions,
): Promise<Request> {
  const body = webhookBody(target, message, machine);
  const headers = new Headers({
    "content-type": "application/json",
    "user-agent": "bureau",
    "bureau-delivery": message.id,
  });
  if (target.secret !== undefined) {
    const at = Math.floor(now() / 1000);
    headers.set("bureau-signature", `t=${at},v1=${await sign(target.secret, `${at}.${body}`)}`);
  }
  return new Request(target.url!, { method: "POST", headers, body });
}

/** HMAC-SHA-256, hex. */
async function sign(key: string, text: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", encoder.encode(key), algorithm, false, [
    "sign",
  ]);
  const signature = await crypto.subtle.sign("HMAC", imported, encoder.encode(text));
  return new Uint8Array(signature).toHex();
}

function outcomeOf({ status, headers }: Response): Outcome {
  if (status >= 200 && status < 300) return { kind: "done" };
  const why = `it answers with status ${status}`;
  if (status >= 500 || [408, 425, 429].includes(status)) {
    const seconds = Number(headers.get("retry-after") ?? NaN);
    const afterMs = Number.isFinite(seconds) && seconds > 0
      ? Math.min(MAX_RETRY_AFTER_MS, seconds * 1000)
      : null;
    return { kind: "later", why, afterMs };
  }
  if (status >= 300 && status < 400) {
    return { kind: "refused", why: `${why}: redirects are not followed` };
  }
  return { kind: "refused", why };
}
