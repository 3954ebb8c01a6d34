// SPDX-License-Identifier: Apache-2.0

/** What `tutorial` gives as JSON. */
import * as z from "zod/mini";

export const tutorial = z.object({ steps: z.number() });
