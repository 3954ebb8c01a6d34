// SPDX-License-Identifier: Apache-2.0

/** `/v1/matrix/*`: the Matrix calls an agent may make, each with the grant it needs. */
import { directoryRoutes } from "./directory.ts";
import { followRoutes } from "./follow.ts";
import { historyRoutes } from "./history.ts";
import { mediaRoutes } from "./media.ts";
import { peopleRoutes } from "./people.ts";
import { roomRoutes } from "./rooms.ts";
import { sendRoutes } from "./send.ts";
import type { MatrixAccount } from "./account.ts";

export type MatrixHandler = (
  account: MatrixAccount,
  request: Request,
  query: URLSearchParams,
) => Promise<Response>;
export type MatrixRoutes = Readonly<Record<string, Readonly<Record<string, MatrixHandler>>>>;

/** Below `/v1/matrix/`. */
export const matrixRoutes: MatrixRoutes = {
  ...sendRoutes,
  ...historyRoutes,
  ...roomRoutes,
  ...peopleRoutes,
  ...directoryRoutes,
  ...mediaRoutes,
  ...followRoutes,
};
