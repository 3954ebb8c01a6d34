// SPDX-License-Identifier: Apache-2.0

/** What the commands of `web` give as JSON. */
import * as z from "zod/mini";
import { daemonApi } from "../../daemon/api.ts";

const { routes } = daemonApi;

export const open = z.union([
  z.object({ ...routes.webLink.response.shape, ...routes.web.response.shape }),
  /** With `--loopback`. */
  routes.web.response,
]);
export const create = routes.webTokenCreate.response;
export const share = routes.webShareCreate.response;
export const list = routes.webTokens.response;
export const revoke = routes.webTokenRevoke.response;
export const shares = routes.webShares.response;
export const unshare = routes.webShareRevoke.response;
