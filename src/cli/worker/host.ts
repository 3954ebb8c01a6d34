// SPDX-License-Identifier: Apache-2.0

/** The host of the operator's workers, as the commands about it see it: there, or only what it left. */
import * as z from "zod/mini";
import {
  HOST_JOURNAL,
  HOST_SOCKET,
  HostApi,
  WorkerList,
  type WorkerView,
} from "../../agent/host/api.ts";
import { type Client, createClient, HttpApiError } from "../../lib/http/mod.ts";
import type { Invocation } from "../framework/command.ts";
import { CliError } from "../framework/exit.ts";

export type HostClient = Client<typeof HostApi>;

/** @returns what `ask` gives; null where no host is */
export async function askHost<T>(
  call: Invocation,
  ask: (client: HostClient) => Promise<T>,
): Promise<T | null> {
  const client = createClient(HostApi, {
    socket: `${directoryOf(call)}/${HOST_SOCKET}`,
    peer: HostApi.title,
  });
  try {
    return await ask(client);
  } catch (thrown) {
    if (thrown instanceof HttpApiError && thrown.code === "unreachable") return null;
    throw thrown;
  } finally {
    client.close();
  }
}

/** The workers that a host held when it was killed: they ended with it. */
export async function leftBehind(call: Invocation): Promise<WorkerView[]> {
  let text: string;
  try {
    text = await Deno.readTextFile(`${directoryOf(call)}/${HOST_JOURNAL}`);
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return [];
    throw thrown;
  }
  return z.parse(WorkerList, JSON.parse(text)).workers.map((view) =>
    view.state === "ended" ? view : {
      ...view,
      state: "ended",
      live: false,
      reason: "its host was killed, and it with its host",
    }
  );
}

function directoryOf({ flags }: Invocation): string {
  const { host } = flags;
  if (typeof host === "string") return host;
  throw new CliError("usage", "Cannot find your workers: nobody said where their host is", {
    hint: "run `sh tasks/bureau`, which does",
  });
}
