// SPDX-License-Identifier: Apache-2.0

/** WebSockets by two stock clients: `ws`, and undici's by HTTPS_PROXY. URL, KEY; FORWARD=1. */
import assert from "node:assert/strict";
import { EnvHttpProxyAgent, WebSocket as UndiciSocket } from "undici";
import WsSocket from "ws";
import { check, done } from "./checks.mjs";

const { URL: url, KEY, FORWARD } = process.env;

function open(Socket) {
  const headers = KEY === undefined ? {} : { "x-api-key": KEY };
  const socket = Socket === WsSocket
    ? new WsSocket(url, { headers })
    : new UndiciSocket(url, {
      headers,
      ...(FORWARD === "1" ? { dispatcher: new EnvHttpProxyAgent() } : {}),
    });
  socket.binaryType = "arraybuffer";
  const received = [];
  let wake = () => {};
  socket.addEventListener("message", ({ data }) => {
    received.push(data);
    wake();
  });
  const next = async () => {
    while (received.length === 0) await new Promise((resolve) => wake = resolve);
    return received.shift();
  };
  return new Promise((resolve, reject) => {
    socket.addEventListener("open", () => resolve({ socket, next }));
    socket.addEventListener("error", (event) => reject(event.error ?? new Error("no handshake")));
  });
}

// `ws` reads no HTTPS_PROXY.
for (const Socket of FORWARD === "1" ? [UndiciSocket] : [WsSocket, UndiciSocket]) {
  const name = Socket === WsSocket ? "ws" : "undici";
  const { socket, next } = await open(Socket);
  await check(`${name}: text`, async () => {
    socket.send("grüezi");
    assert.equal(await next(), "grüezi");
  });
  await check(`${name}: a megabyte`, async () => {
    const sent = new Uint8Array(1_000_000).map((_, at) => at % 251);
    socket.send(sent);
    assert.deepEqual(new Uint8Array(await next()), sent);
  });
  await check(`${name}: a thousand, in order`, async () => {
    for (let at = 0; at < 1000; at++) socket.send(`${at}`);
    for (let at = 0; at < 1000; at++) assert.equal(await next(), `${at}`);
  });
  await check(`${name}: the key does not come back`, async () => {
    socket.send("what is my key?");
    assert.match(await next(), /^your key is \*+$/);
  });
  if (KEY !== undefined) {
    await check(`${name}: the placeholder is swapped in a message`, async () => {
      socket.send(`my key is ${KEY}`);
      assert.equal(await next(), "so it is!");
    });
  }
  await check(`${name}: closing`, async () => {
    const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
    socket.close(4001, "enough");
    assert.equal((await closed).code, 4001);
  });
}

done();
