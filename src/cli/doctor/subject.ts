// SPDX-License-Identifier: Apache-2.0

/** What is examined: the operator's session, and what the processes say, each asked once for all checks. */
import type { DaemonStatus } from "../../daemon/api.ts";
import { BureauError } from "../../lib/errors.ts";
import { createClient } from "../../lib/http/mod.ts";
import type { MatrixClient } from "../../messaging/mod.ts";
import { supervisorApi, type SupervisorStatus } from "../../supervisor/api.ts";
import type { Invocation } from "../framework/command.ts";
import {
  daemonClient,
  isUnreachable,
  loadSession,
  matrixClient,
  type OperatorSession,
} from "../session.ts";

export interface Operator {
  readonly session: OperatorSession;
  readonly client: MatrixClient;
}

export interface Subject {
  readonly call: Invocation;
  /** @throws {CliError} when there is no session that may be read */
  readonly operator: () => Promise<Operator>;
  /** Null: none runs here. */
  readonly supervisor: () => Promise<SupervisorStatus | null>;
  /** Null: none answers. */
  readonly daemon: () => Promise<DaemonStatus | null>;
}

export function subjectOf(call: Invocation): Subject {
  const operator = once(async () => {
    const session = await loadSession(call);
    return { session, client: matrixClient(session) };
  });
  return {
    call,
    operator,
    supervisor: once(async () => {
      const client = createClient(supervisorApi, { socket: `${call.runDir}/up/up.sock` });
      try {
        return await client.call("status", { signal: call.signal });
      } catch (thrown) {
        // Another user's, or none at all.
        if (isUnreachable(thrown) || refused(thrown)) return null;
        throw thrown;
      } finally {
        client.close();
      }
    }),
    daemon: once(async () => {
      const client = daemonClient(call, (await operator()).session);
      try {
        return await client.call("status", { signal: call.signal });
      } catch (thrown) {
        if (isUnreachable(thrown)) return null;
        throw thrown;
      } finally {
        client.close();
      }
    }),
  };
}

const refused = (thrown: unknown) => thrown instanceof BureauError && thrown.status === 403;

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined;
  return () => answer ??= ask();
}
