// SPDX-License-Identifier: Apache-2.0
import { BureauError } from "../errors.ts";

export class LayoutError extends BureauError {
  override readonly name = "LayoutError";
}
