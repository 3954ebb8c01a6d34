// SPDX-License-Identifier: Apache-2.0

/** Tests: a process that serves and fetches under a span, with secrets wherever a request can hold one. */
import { guardSpans, traced } from "../mod.ts";

const [guard, port] = Deno.args;
if (guard === "guarded") guardSpans();
const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response());
const at = `127.0.0.1:${server.addr.port}`;
await traced("reconcile", { principal: "agent/a" }, async () => {
  const answer = await fetch(`http://ada:s3cret-password@${at}/s3cret-path?since=s3cret-query`);
  await answer.body?.cancel();
});
await traced("sync", {}, async () => {
  await fetch(`http://127.0.0.1:${port}/s3cret-refused`, { redirect: "error" });
}).catch(() => {});
await traced("failing", {}, () => Promise.reject(new Error("s3cret-message"))).catch(() => {});
await server.shutdown();
