// SPDX-License-Identifier: Apache-2.0

/** A service token for somebody who runs in no sandbox here: an operator asks a service in person (W-11). */
import type { ProxyPolicy } from "../../lib/schema/mod.ts";
import {
  isRole,
  rulesForRole,
  signToken,
  TOKEN_LIFE_MS,
  type TokenKey,
} from "../../lib/token/mod.ts";
import { DaemonError } from "../errors.ts";
import { bindingOf, type DirectoryContext } from "./directory.ts";

export interface MintRequest {
  /** User id of who asks. */
  readonly subject: string;
  readonly role: string;
  /** All that they may do. */
  readonly policy: ProxyPolicy;
  /** Where the role is looked for. */
  readonly room: string | null;
  readonly now: number;
}

export interface MintedToken {
  readonly token: string;
  /** User id of the one service that it counts for. */
  readonly service: string;
  /** Milliseconds since the epoch. */
  readonly expires_at: number;
}

/** @throws {DaemonError} `bad-role`, `role-unbound`, `forbidden` */
export async function mintToken(
  context: DirectoryContext,
  key: () => Promise<TokenKey>,
  { subject, role, policy, room, now }: MintRequest,
): Promise<MintedToken> {
  if (!isRole(role)) {
    throw new DaemonError("bad-role", "Cannot make a token: that is no role", {
      status: 400,
      hint: "a role is one word of a-z 0-9 . _ = -",
    });
  }
  const binding = bindingOf(context, role, [room]);
  if (binding === null) {
    throw new DaemonError(
      "role-unbound",
      `Cannot make a token for the role ${role}: no service fills it`,
      { status: 404, hint: `bind one: bureau service bind ${role} NAME` },
    );
  }
  if (rulesForRole(policy, role).grants.length === 0) {
    throw new DaemonError(
      "forbidden",
      `Cannot make a token for the role ${role}: nothing of it is granted to you`,
      { status: 403, hint: `\`bureau auth check me service/${role}/…\` says why` },
    );
  }
  const { service } = binding;
  const request = { machine: context.machine, subject, service, role, policy, now };
  return {
    token: await signToken(await key(), request),
    service,
    expires_at: now + TOKEN_LIFE_MS,
  };
}
