// SPDX-License-Identifier: Apache-2.0

/** One authority for the servers of one test: any name below `bureau.test`, and this machine's loopback. */
import { makeCertificates } from "../../../src/proxy/testing/harness.ts";

export interface Authority {
  /** PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export const DOMAIN = "bureau.test";

/** @param dir where openssl works; nothing else lies there */
export async function makeAuthority(dir: string): Promise<Authority> {
  await Deno.mkdir(dir, { recursive: true });
  return await makeCertificates(dir, `DNS:*.${DOMAIN},DNS:localhost,IP:127.0.0.1`);
}

/** A server of a test, by the name that the sandbox knows it by. */
export interface Served extends AsyncDisposable {
  /** `git.bureau.test`. */
  readonly host: string;
  readonly port: number;
}

export function authorityOf({ host, port }: Served): string {
  return `${host}:${port}`;
}
