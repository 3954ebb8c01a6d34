// SPDX-License-Identifier: Apache-2.0

/** What the commands of `notify` give as JSON. */
import { daemonApi } from "../../daemon/api.ts";

export const list = daemonApi.routes.notifyTargets.response;
export const test = daemonApi.routes.notifyTest.response;
