// SPDX-License-Identifier: Apache-2.0

/** A loopback port that leads to a homeserver's Unix socket: into a network that this process is not in. */
import { createServer, request as ask } from "node:http";
import type { AddressInfo } from "node:net";

export interface Forward {
  readonly url: string;
  close(): Promise<void>;
}

export async function forward(socketPath: string): Promise<Forward> {
  const server = createServer((request, response) => {
    const onward = ask({
      socketPath,
      path: request.url!,
      method: request.method!,
      // A homeserver notes where its clients are, which a Unix socket does not tell.
      headers: { ...request.headers, "x-forwarded-for": "127.0.0.1" },
    }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", (error) => {
      if (response.headersSent) response.destroy(error);
      else response.writeHead(502).end(String(error));
    });
    // Who hangs up has no more to wait for.
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
