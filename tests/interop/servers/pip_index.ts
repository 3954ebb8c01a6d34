// SPDX-License-Identifier: Apache-2.0

/** A package index over TLS as pip reads it (PEP 503), with one wheel, for who has the token. */
import { type Authority, DOMAIN, type Served } from "./tls.ts";

export interface PipIndex extends Served {
  readonly refused: () => number;
}

const NAME = "bureau_interop";
export const WHEEL_VERSION = "1.2.3";
const WHEEL = `${NAME}-${WHEEL_VERSION}-py3-none-any.whl`;

const MAKE_WHEEL = `
import base64, hashlib, sys, zipfile
name, version, path = sys.argv[1:]
info = f"{name}-{version}.dist-info"
files = {
  f"{name}/__init__.py": 'def greet():\\n    return "installed through the proxy"\\n',
  f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
  f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: bureau\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
}
def digest(text):
  value = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
  return f"sha256={value},{len(text.encode())}"
files[f"{info}/RECORD"] = "".join(
  f"{path},{digest(text)}\\n" for path, text in files.items()) + f"{info}/RECORD,,\\n"
with zipfile.ZipFile(path, "w") as wheel:
  for path, text in files.items(): wheel.writestr(path, text)
`;

/** @param dir a directory for the wheel; `token` is the password of any user */
export async function startPipIndex(
  dir: string,
  token: string,
  authority: Authority,
): Promise<PipIndex> {
  const path = `${dir}/${WHEEL}`;
  const { success, stderr } = await new Deno.Command("/usr/bin/python3", {
    args: ["-c", MAKE_WHEEL, NAME, WHEEL_VERSION, path],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  const wheel = await Deno.readFile(path);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", wheel)).toHex();
  let refused = 0;
  const page = (links: string) =>
    new Response(`<!DOCTYPE html><html><body>${links}</body></html>`, {
      headers: { "content-type": "text/html" },
    });
  const server = Deno.serve(
    {
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      cert: authority.cert,
      key: authority.key,
    },
    (request) => {
      const given = request.headers.get("authorization")?.replace(/^Basic /, "") ?? "";
      if (atob(given).split(":")[1] !== token) {
        refused++;
        return new Response("who are you?", {
          status: 401,
          headers: { "www-authenticate": 'Basic realm="index"' },
        });
      }
      switch (new URL(request.url).pathname) {
        case "/simple/bureau-interop/":
          return page(`<a href="../../files/${WHEEL}#sha256=${hash}">${WHEEL}</a>`);
        case `/files/${WHEEL}`:
          return new Response(wheel);
        default:
          return new Response("no such project", { status: 404 });
      }
    },
  );
  return {
    host: `pypi.${DOMAIN}`,
    port: server.addr.port,
    refused: () => refused,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
