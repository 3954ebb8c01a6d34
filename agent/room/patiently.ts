// SPDX-License-Identifier: Apache-2.0
import { messageOf } from "../../src/lib/errors.ts";

/**
 * Until it is done: a proxy that is being replaced is back within seconds. A refusal is for good.
 * @param tell told why it is tried again
 */
export async function patiently<T>(
  what: string,
  act: () => Promise<T>,
  tell: (text: string) => void,
): Promise<T> {
  for (let pause = 500;; pause = Math.min(2 * pause, 5_000)) {
    try {
      return await act();
    } catch (thrown) {
      const { isPassing = true } = thrown as { isPassing?: boolean };
      if (!isPassing) throw thrown;
      tell(`cannot ${what} yet: ${messageOf(thrown)}`);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
