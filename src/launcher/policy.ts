// SPDX-License-Identifier: Apache-2.0

/** What the operator wrote for this machine: whose signatures count and what may be bound. */
import * as z from "zod/mini";
import { messageOf } from "../lib/errors.ts";
import { LauncherPolicy } from "./api.ts";
import { LauncherError } from "./errors.ts";

/** Read anew for each request: it is small, and a stale copy would be a hole. */
export async function readPolicy(path: string): Promise<LauncherPolicy> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (thrown) {
    throw new LauncherError("no-policy", `Cannot read the policy "${path}": ${messageOf(thrown)}`, {
      status: 503,
      hint: "first boot writes it (`deno task up`); without it nothing is started",
    });
  }
  try {
    return z.parse(LauncherPolicy, JSON.parse(text));
  } catch (thrown) {
    throw new LauncherError("bad-policy", `Cannot use the policy "${path}": it is not valid`, {
      cause: thrown,
      status: 503,
      hint: "mend the file, or remove it and run `deno task up`",
    });
  }
}
