// SPDX-License-Identifier: Apache-2.0

/**
 * What a hostile agent sends on `proxy.sock`, byte by byte. `/smuggled` is denied by the service's rules and
 * must never reach the upstream, in whatever message it is hidden.
 */
const HOST = "Host: bureau\r\n";
const HIDDEN = "GET /smuggled HTTP/1.1\r\nHost: upstream\r\n\r\n";
const CHUNKED_HIDDEN = `0\r\n\r\n${HIDDEN}`;
const LAST = `GET /health HTTP/1.1\r\n${HOST}Connection: close\r\n\r\n`;

const post = (headers: string, body: string) =>
  `POST /http/hostile/told HTTP/1.1\r\n${HOST}${headers}\r\n${body}${LAST}`;
const get = (target: string, headers = "", method = "GET", version = "1.1") =>
  `${method} ${target} HTTP/${version}\r\n${HOST}${headers}Connection: close\r\n\r\n`;
const length = (count: number) => `Content-Length: ${count}\r\n`;

/** Two readings of one length (RFC 9112 §11.2). */
const smuggling: Record<string, string> = {
  "cl-te": post(`${length(CHUNKED_HIDDEN.length)}Transfer-Encoding: chunked\r\n`, CHUNKED_HIDDEN),
  "te-cl": post(`Transfer-Encoding: chunked\r\n${length(4)}`, `5c\r\n${HIDDEN}\r\n0\r\n\r\n`),
  "cl-cl": post(`${length(0)}${length(HIDDEN.length)}`, HIDDEN),
  "cl-list": post(`Content-Length: 0, ${HIDDEN.length}\r\n`, HIDDEN),
  "cl-plus": post(`Content-Length: +${HIDDEN.length}\r\n`, HIDDEN),
  "cl-minus": post("Content-Length: -1\r\n", HIDDEN),
  "cl-hex": post(`Content-Length: 0x${HIDDEN.length.toString(16)}\r\n`, HIDDEN),
  "cl-space": post(`Content-Length : ${HIDDEN.length}\r\n`, HIDDEN),
  "cl-tab": post(`Content-Length:\t0\t\r\n`, HIDDEN),
  "cl-fold": post(`Content-Length: 0\r\n ${HIDDEN.length}\r\n`, HIDDEN),
  "cl-vast": post(`Content-Length: ${"9".repeat(40)}\r\n`, HIDDEN),
  "te-te": post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", CHUNKED_HIDDEN),
  "te-list": post("Transfer-Encoding: chunked, identity\r\n", CHUNKED_HIDDEN),
  "te-twice": post("Transfer-Encoding: chunked, chunked\r\n", CHUNKED_HIDDEN),
  "te-gzip": post("Transfer-Encoding: gzip, chunked\r\n", CHUNKED_HIDDEN),
  "te-tab": post("Transfer-Encoding:\tchunked\r\n", CHUNKED_HIDDEN),
  "te-vt": post("Transfer-Encoding: \x0bchunked\r\n", CHUNKED_HIDDEN),
  "te-space": post(`Transfer-Encoding : chunked\r\n${length(0)}`, CHUNKED_HIDDEN),
  "te-case": post("tRANSFER-eNCODING: CHUNKED\r\n", CHUNKED_HIDDEN),
  "te-quoted": post('Transfer-Encoding: "chunked"\r\n', CHUNKED_HIDDEN),
  "te-fold": post("Transfer-Encoding:\r\n chunked\r\n", CHUNKED_HIDDEN),
  "te-lf": post(`X: y\nTransfer-Encoding: chunked\r\n${length(0)}`, CHUNKED_HIDDEN),
  "te-1.0": `POST /http/hostile/told HTTP/1.0\r\n${HOST}Transfer-Encoding: chunked\r\n` +
    `Connection: keep-alive\r\n\r\n${CHUNKED_HIDDEN}`,
  "chunk-plus": post("Transfer-Encoding: chunked\r\n", `+2\r\nab\r\n${CHUNKED_HIDDEN}`),
  "chunk-0x": post("Transfer-Encoding: chunked\r\n", `0x2\r\nab\r\n${CHUNKED_HIDDEN}`),
  "chunk-lf": post("Transfer-Encoding: chunked\r\n", `2\nab\n${CHUNKED_HIDDEN}`),
  "chunk-extension": post("Transfer-Encoding: chunked\r\n", `2;a="\n"\r\nab\r\n${CHUNKED_HIDDEN}`),
  "chunk-wrap": post(
    "Transfer-Encoding: chunked\r\n",
    `10000000000000002\r\nab\r\n${CHUNKED_HIDDEN}`,
  ),
  "chunk-trailer": post(
    "Transfer-Encoding: chunked\r\nTrailer: X-Api-Key\r\n",
    `1\r\na\r\n0\r\nX-Api-Key: mine\r\nContent-Length: 99\r\n\r\n`,
  ),
  "get-body": get("/http/hostile/told", length(HIDDEN.length)) + HIDDEN,
  pipelined: get("/http/hostile/told").replace("Connection: close\r\n", "") +
    get("/http/hostile/smuggled"),
  "header-line": get("/http/hostile/told", "X: y\rGET /smuggled HTTP/1.1\r\n"),
  "header-value": get("/http/hostile/told", "X: y\x00z\r\n"),
};

/** Ways around the rules by spelling. */
const spellings = [
  "/http/hostile/smuggled",
  "/http/hostile/./smuggled",
  "/http/hostile/a/../smuggled",
  "/http/hostile/%73muggled",
  "/http/hostile/smuggled/",
  "/http/hostile//smuggled",
  "//http/hostile/smuggled",
  "/http/hostile/%2e/smuggled",
  "/http/hostile/a/%2e%2e/smuggled",
  "/http/hostile/a%2f..%2fsmuggled",
  "/http/hostile/a\\..\\smuggled",
  "/http/hostile/smuggled%00",
  "/http/hostile/smuggled;x=1",
  "/http/hostile/smuggled?x",
  "/http/hostile/smuggled#x",
  "/http/hostile/%2573muggled",
  "/http/other/../hostile/smuggled",
  "/http/hostile/../hostile/smuggled",
  "/http/hostile/..%2fhostile/smuggled",
  "/HTTP/hostile/smuggled",
  "/http/HOSTILE/smuggled",
  "/http/hostile%2fsmuggled",
  "/http/hostile/ｓmuggled",
  "http://bureau/http/hostile/smuggled",
  "http://upstream/smuggled",
  "*",
  "bureau:443",
  "",
];

/** Everything else: methods, versions, sizes, headers that speak of the key. */
const others: Record<string, string> = {
  trace: get("/http/hostile/told", "Max-Forwards: 0\r\n", "TRACE"),
  track: get("/http/hostile/told", "", "TRACK"),
  connect: get("/http/hostile/told", "", "CONNECT"),
  debug: get("/http/hostile/told", "", "DEBUG"),
  lower: get("/http/hostile/told", "", "get"),
  "http-1.0": get("/http/hostile/body", "", "GET", "1.0"),
  "http-0.9": "GET /http/hostile/body\r\n\r\n",
  "http-1.2": get("/http/hostile/told", "", "GET", "1.2"),
  "http-2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
  h2c: get("/http/hostile/told", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
  "upgrade-mine": get("/http/hostile/told", "Upgrade: mine\r\n").replace("close", "Upgrade"),
  "method-override": get("/http/hostile/told", "X-HTTP-Method-Override: TRACE\r\n"),
  "path-override": get("/http/hostile/told", "X-Original-URL: /smuggled\r\n"),
  "key-mine": get("/http/hostile/body", "X-Api-Key: mine\r\n"),
  "key-mine-twice": get("/http/hostile/body", "x-api-key: a\r\nX-API-KEY: b\r\n"),
  "key-underscore": get("/http/hostile/body", "X_Api_Key: mine\r\n"),
  "key-dropped": get("/http/hostile/body", "").replace("close", "close, X-Api-Key"),
  "key-trailer": get("/http/hostile/body", "TE: trailers\r\nTrailer: X-Api-Key\r\n"),
  "host-two": get("/http/hostile/told", "Host: elsewhere.bureau.test\r\n"),
  "host-none": "GET /http/hostile/told HTTP/1.1\r\nConnection: close\r\n\r\n",
  "host-odd": get("/http/hostile/told").replace("Host: bureau", "Host: a@b:c/d"),
  forwarded: get("/http/hostile/body", "Forwarded: for=x\r\nX-Forwarded-Host: elsewhere\r\n"),
  encoding: get("/http/hostile/gzip", "Accept-Encoding: gzip, br, zstd\r\n"),
  range: get("/http/hostile/body", "Range: bytes=0-0,2-2,4-4\r\n"),
  expect: get("/http/hostile/told", "Expect: 100-continue\r\n" + length(3), "POST") + "abc",
  "expect-odd": get("/http/hostile/told", "Expect: key\r\n"),
  "header-huge": get("/http/hostile/told", `X: ${"y".repeat(4_000_000)}\r\n`),
  "header-many": get("/http/hostile/told", "X: y\r\n".repeat(100_000)),
  "line-huge": get(`/http/hostile/${"x".repeat(1_000_000)}`),
  "query-huge": get(`/http/hostile/told?${"x".repeat(60_000)}`),
  "name-odd": get("/http/hostile/told", "X(Y): z\r\n"),
  "name-empty": get("/http/hostile/told", ": z\r\n"),
  "lf-only": "GET /http/hostile/told HTTP/1.1\nHost: bureau\nConnection: close\n\n",
  "cr-only": "GET /http/hostile/told HTTP/1.1\rHost: bureau\r\r",
  nul: "\0".repeat(1000) + "\r\n\r\n",
  tls: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\x55".repeat(600) + "\r\n\r\n",
  matrix: get("/_matrix/client/v3/account/whoami", "Authorization: Bearer mine\r\n"),
  "admin-path": get("/v1/stats"),
};

export const requests: Readonly<Record<string, string>> = {
  ...smuggling,
  ...others,
  ...Object.fromEntries(spellings.map((target, at) => [`spelling-${at}`, get(target)])),
};
