// SPDX-License-Identifier: Apache-2.0

export { Services } from "./services.ts";
