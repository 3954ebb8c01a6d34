// SPDX-License-Identifier: Apache-2.0

/**
 * A sub-agent: reads its provision spec, says in the fabric that it is there, and runs what its parent gives it. What
 * it may touch its parent grants by path; around it is the sandbox of the principal that it works for.
 */
import { readSpec, secretsOf } from "../agent/provision/mod.ts";
import { builtinExecutors, serveWorker } from "../agent/worker/mod.ts";
import { BureauError, messageOf } from "../lib/errors.ts";
import { createLogger } from "../lib/log.ts";

const log = createLogger("worker");
/** Of specs that can't be carried out, as opposed to workers that failed. */
const UNUSABLE = 2;
const stop = new AbortController();
Deno.addSignalListener("SIGTERM", () => stop.abort());

let secrets: readonly string[] = [];
let status = UNUSABLE;
try {
  const spec = await readSpec();
  secrets = secretsOf(spec);
  // Given to us in a sandbox alone, where all of it is the sandbox's own.
  const { state } = await Deno.permissions.query({ name: "env" });
  const environment = state === "granted" ? Deno.env.toObject() : {};
  const executor = await builtinExecutors(environment).make(spec);
  status = 1;
  await serveWorker({ spec, executor, log, signal: stop.signal });
  status = 0;
} catch (thrown) {
  const say = (text: string) =>
    secrets.reduce((shown, secret) => shown.replaceAll(secret, "[redacted]"), text);
  const code = thrown instanceof BureauError ? thrown.code : "internal";
  log.error(say(messageOf(thrown)), {
    code,
    ...(thrown instanceof BureauError && thrown.hint !== undefined
      ? { hint: say(thrown.hint) }
      : {}),
  });
}
// An executor that was left behind must not keep it.
Deno.exit(status);
