// SPDX-License-Identifier: Apache-2.0

/** The upstream where nginx is not installed: `<dir with leaf.pem, leaf.key> <plain port> <TLS port>`. */
const [dir, plain, tls] = Deno.args;
const handler = () => new Response("x".repeat(100));
Deno.serve({ hostname: "127.0.0.1", port: Number(plain), onListen() {} }, handler);
Deno.serve({
  hostname: "127.0.0.1",
  port: Number(tls),
  onListen() {},
  cert: Deno.readTextFileSync(`${dir}/leaf.pem`),
  key: Deno.readTextFileSync(`${dir}/leaf.key`),
}, handler);
