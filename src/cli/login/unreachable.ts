// SPDX-License-Identifier: Apache-2.0

/** Why nothing came of a connection, as far as its error tells. */
import { messageOf } from "../../lib/errors.ts";

interface Reason {
  readonly code: string;
  readonly why: string;
  readonly hint: string;
}

const AUTHORITY =
  "with an authority of your own: set DENO_CERT to its certificate, or add it to the system's and set DENO_TLS_CA_STORE=system";

/** By what the network's errors say, innermost included. */
const REASONS: readonly (readonly [RegExp, Reason])[] = [
  [/UnknownIssuer/, {
    code: "tls",
    why: "its certificate is signed by an authority that nobody here knows",
    hint: AUTHORITY,
  }],
  [/NotValidForName/, {
    code: "tls",
    why: "its certificate is for another name",
    hint: "give the name that its certificate has",
  }],
  [/certificate.*Expired|Expired.*certificate/, {
    code: "tls",
    why: "its certificate has expired, or a clock is wrong",
    hint: "look at this machine's clock (`date`), then tell the homeserver's administrator",
  }],
  [/certificate|tls|ssl|handshake/i, {
    code: "tls",
    why: "it does not speak TLS as it should",
    hint: "look at the port: one without TLS is http://",
  }],
  [/dns error|lookup|name resolution/i, {
    code: "unreachable",
    why: "no such host is known",
    hint: "check the name, and that this machine is online",
  }],
];

const NOBODY: Reason = {
  code: "unreachable",
  why: "nothing answers there",
  hint:
    "check the port, and that the homeserver runs; one that listens on 127.0.0.1 alone is reached by `ssh -L`",
};

export function whyUnreachable(thrown: unknown): Reason {
  const said: string[] = [];
  for (let at = thrown; at !== undefined && said.length < 8; at = (at as Error)?.cause) {
    said.push(messageOf(at));
  }
  const text = said.join(": ");
  return REASONS.find(([sign]) => sign.test(text))?.[1] ?? NOBODY;
}
