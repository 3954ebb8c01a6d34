// SPDX-License-Identifier: Apache-2.0

/** What the commands of `web` give as JSON. */
import { daemonApi } from "../../daemon/api.ts";

const { routes } = daemonApi;

export const list = routes.webTokens.response;
export const revoke = routes.webTokenRevoke.response;
export const shares = routes.webShares.response;
export const unshare = routes.webShareRevoke.response;
