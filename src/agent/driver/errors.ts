// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../../lib/errors.ts";

export class DriverError extends BureauError {}
