// SPDX-License-Identifier: Apache-2.0

/** How a caller of the gate is told no. */
import { type Duplex, writeAll } from "../../lib/duplex.ts";

export interface Refusal {
  readonly status: 400 | 403 | 502 | 503;
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

const REASONS = {
  400: "Bad Request",
  403: "Forbidden",
  502: "Bad Gateway",
  503: "Service Unavailable",
} as const;

export async function writeRefusal(caller: Duplex, refusal: Refusal): Promise<void> {
  const { status, ...error } = refusal;
  const encoder = new TextEncoder();
  const body = encoder.encode(JSON.stringify({ error }));
  const head = `HTTP/1.1 ${status} ${REASONS[status]}\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  await writeAll(caller, encoder.encode(head));
  await writeAll(caller, body);
}
