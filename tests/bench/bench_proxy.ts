// SPDX-License-Identifier: Apache-2.0

/**
 * The proxy in its cell against nginx (Debian's package) and against the upstream itself, in one run, with
 * the same client, upstream and body. Upstream: nginx when it is there, else a Deno server.
 */
import { buildRuntime, startCell } from "../../src/proxy/testing/cell.ts";
import { bootstrapWith, makeCertificates } from "../../src/proxy/testing/harness.ts";
import { memoryOf, percentile, report, skip } from "./report.ts";
import { connectTls, connectUnix, fetchBody, measureLatency, measureRate } from "./proxy_client.ts";

const GIB = 1 << 30;
const SECRET = "bench-key";

const here = new URL(".", import.meta.url).pathname;
const dir = await Deno.makeTempDir({ dir: "/tmp", prefix: "b-" });
const children: Deno.ChildProcess[] = [];
const freePort = () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
};

async function hasNginx(): Promise<boolean> {
  try {
    return (await new Deno.Command("nginx", { args: ["-v"], stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

const ports = { plain: freePort(), tls: freePort() };

/** One nginx is the upstream, another the reverse proxy that the figures stand beside. */
function nginxConfig(): { upstream: string; proxy: string } {
  const common = (name: string) => `
${Deno.uid() === 0 ? "user root;" : ""}
worker_processes 1; daemon off; pid ${dir}/${name}.pid; error_log ${dir}/${name}.log;
events { worker_connections 512; }
http {
  access_log off; keepalive_requests 10000000; sendfile on; tcp_nodelay on;
  client_body_temp_path ${dir}/t1; proxy_temp_path ${dir}/t2; fastcgi_temp_path ${dir}/t3;
  uwsgi_temp_path ${dir}/t4; scgi_temp_path ${dir}/t5;`;
  const through = (name: string, target: string) => `
  upstream ${name} { server ${target}; keepalive 32; keepalive_requests 10000000; }
  server {
    listen unix:${dir}/nginx-${name}.sock;
    location / {
      proxy_pass ${name === "tls" ? "https" : "http"}://${name};
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Api-Key ${SECRET};
      proxy_set_header Host api.test; proxy_buffering off;
      proxy_ssl_server_name on; proxy_ssl_name api.test; proxy_ssl_verify on;
      proxy_ssl_trusted_certificate ${dir}/ca.pem;
    }
  }`;
  return {
    upstream: `${common("upstream")}
  server {
    listen 127.0.0.1:${ports.plain}; listen 127.0.0.1:${ports.tls} ssl;
    ssl_certificate ${dir}/leaf.pem; ssl_certificate_key ${dir}/leaf.key;
    root ${dir}/www;
  }
}`,
    proxy: `${common("proxy")}${through("plain", `127.0.0.1:${ports.plain}`)}${
      through("tls", `127.0.0.1:${ports.tls}`)
    }
}`,
  };
}

async function spawnNginx(name: string, config: string, waitFor: () => Promise<Deno.Conn>) {
  await Deno.writeTextFile(`${dir}/${name}.conf`, config);
  children.push(
    new Deno.Command("nginx", {
      args: ["-e", `${dir}/${name}.log`, "-c", `${dir}/${name}.conf`],
      stdin: "null",
    }).spawn(),
  );
  for (let attempt = 0;; attempt++) {
    try {
      return (await waitFor()).close();
    } catch (thrown) {
      if (attempt > 500) throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

async function spawnGate(socket: string, target: string): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", `${here}proxy_gate.ts`, socket, target],
    stdout: "piped",
  }).spawn();
  children.push(child);
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
}

const nginx = await hasNginx();
try {
  const certificates = await makeCertificates(dir, "DNS:api.test,DNS:localhost");
  await Deno.mkdir(`${dir}/www`);
  await Deno.writeTextFile(`${dir}/www/small`, "x".repeat(100));
  // Sparse: 1 GiB of zeros that costs no disk.
  await Deno.writeTextFile(`${dir}/www/big`, "");
  await Deno.truncate(`${dir}/www/big`, GIB);
  if (nginx) {
    const config = nginxConfig();
    await spawnNginx(
      "upstream",
      config.upstream,
      () => Deno.connect({ hostname: "127.0.0.1", port: ports.tls }),
    );
    await spawnNginx(
      "proxy",
      config.proxy,
      () => Deno.connect({ transport: "unix", path: `${dir}/nginx-tls.sock` }),
    );
  } else {
    const why = "nginx is not installed (apt-get install nginx-light)";
    for (const id of ["proxy.rate.plain", "proxy.rate.tls", "proxy.body.tls"]) skip(id, why);
    children.push(
      new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-q",
          "-A",
          `${here}proxy_upstream.ts`,
          dir,
          String(ports.plain),
          String(ports.tls),
        ],
      }).spawn(),
    );
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const runtime = await buildRuntime(dir);
  const cellAt = async (name: string, upstream: string, ca?: string) => {
    await Deno.mkdir(`${dir}/${name}/egress`, { recursive: true });
    await spawnGate(`${dir}/${name}/egress/egress.sock`, new URL(upstream).host);
    const service = {
      upstream,
      inject_headers: { "x-api-key": SECRET },
      strip_headers: [],
      ...(ca === undefined ? {} : { ca }),
    };
    return await startCell(`${dir}/${name}`, runtime, bootstrapWith({ services: { up: service } }));
  };
  const plain = await cellAt("plain", `http://127.0.0.1:${ports.plain}`);
  const tls = await cellAt("tls", `https://localhost:${ports.tls}`, certificates.ca);
  const pid = await tls.pid();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  report({ id: "proxy.memory.fresh", value: (await memoryOf(pid)).privateMb, unit: "MB" });

  const direct = () => connectTls(ports.tls, certificates.ca);
  const proxied = () => connectUnix(tls.sockets.agent);
  const beside = () => connectUnix(`${dir}/nginx-tls.sock`);
  (await measureLatency(proxied, "/http/up/small", 1)).length;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  report({ id: "proxy.memory.used", value: (await memoryOf(pid)).privateMb, unit: "MB" });

  // Interleaved rounds: all three meet the same neighbours on this machine.
  const latency = { direct: [] as number[], proxied: [] as number[], nginx: [] as number[] };
  for (let round = 0; round < 5; round++) {
    latency.direct.push(...await measureLatency(direct, "/small", 1000));
    latency.proxied.push(...await measureLatency(proxied, "/http/up/small", 1000));
    if (nginx) latency.nginx.push(...await measureLatency(beside, "/small", 1000));
  }
  const added = (sample: number[], p: number) =>
    percentile(sample, p) - percentile(latency.direct, p);
  report({
    id: "proxy.latency.added_p50",
    value: added(latency.proxied, 0.5),
    unit: "µs",
    ...(nginx ? { alternative: { name: "nginx", value: added(latency.nginx, 0.5) } } : {}),
    note: `direct ${percentile(latency.direct, 0.5).toFixed(0)} µs; added p99 ${
      added(latency.proxied, 0.99).toFixed(0)
    } µs`,
  });

  if (nginx) {
    const rates = async (id: string, ours: string, theirs: string) => {
      const own: number[] = [];
      const other: number[] = [];
      for (let round = 0; round < 3; round++) {
        own.push(await measureRate(() => connectUnix(ours), "/http/up/small", 10, 2000));
        other.push(await measureRate(() => connectUnix(theirs), "/small", 10, 2000));
      }
      const [mine, nginxs] = [percentile(own, 0.5), percentile(other, 0.5)];
      report({
        id,
        value: mine / nginxs,
        unit: "×",
        note: `${mine.toFixed(0)}/s, nginx ${nginxs.toFixed(0)}/s`,
      });
    };
    await rates("proxy.rate.plain", plain.sockets.agent, `${dir}/nginx-plain.sock`);
    await rates("proxy.rate.tls", tls.sockets.agent, `${dir}/nginx-tls.sock`);
    const own: number[] = [];
    const other: number[] = [];
    for (let round = 0; round < 2; round++) {
      own.push(await fetchBody(proxied, "/http/up/big", GIB));
      other.push(await fetchBody(beside, "/big", GIB));
    }
    const [mine, nginxs] = [percentile(own, 1), percentile(other, 1)];
    report({
      id: "proxy.body.tls",
      value: mine / nginxs,
      unit: "×",
      note: `${mine.toFixed(0)} MB/s, nginx ${nginxs.toFixed(0)} MB/s, direct ${
        (await fetchBody(direct, "/big", GIB)).toFixed(0)
      } MB/s`,
    });
  }
  const stats = () =>
    Deno.createHttpClient({ proxy: { transport: "unix", path: tls.sockets.admin } });
  using client = stats();
  const count = async () =>
    (await (await fetch("http://192.0.2.1/v1/stats", { client })).json()).requests as number;
  while (await count() < 100_000) await measureRate(proxied, "/http/up/small", 10, 2000);
  await new Promise((resolve) => setTimeout(resolve, 2000));
  report({ id: "proxy.memory.loaded", value: (await memoryOf(pid)).privateMb, unit: "MB" });
  for (const cell of [plain, tls]) {
    cell.kill("SIGKILL");
    await cell.status;
  }
} finally {
  for (const child of children) {
    child.kill("SIGTERM");
    await child.status;
  }
  await Deno.remove(dir, { recursive: true });
}
