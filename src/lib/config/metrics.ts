// SPDX-License-Identifier: Apache-2.0

/** `metrics:` of a machine's file: where they are told beside the daemon's socket, and by which token. */
import * as z from "zod/mini";

const LOOPBACK = /^(127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})$/;

const loopback = (text: string) => {
  const port = Number(LOOPBACK.exec(text)?.[2]);
  return port >= 1 && port <= 65_535;
};

export const MetricsConfig = z.strictObject({
  listen: z.string("takes HOST:PORT of loopback").check(
    z.refine(loopback, "takes HOST:PORT of loopback"),
  ),
  token_file: z.string("takes the path of a file with a token").check(
    z.refine((path) => /^\/[^\n,]*$/.test(path), "takes the absolute path of a file with a token"),
  ),
}, "takes `listen: HOST:PORT` and `token_file: PATH`");

/** As the daemon gets it. */
export interface MetricsPlace {
  readonly listen: { readonly hostname: string; readonly port: number };
  /** Secret. */
  readonly token: string;
}

export function listenOf(text: string): MetricsPlace["listen"] {
  const [, hostname, port] = LOOPBACK.exec(text)!;
  return { hostname: hostname!.replace(/^\[|\]$/g, ""), port: Number(port) };
}
