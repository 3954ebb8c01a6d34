// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import { asCalled } from "./called.ts";

Deno.test("commands in our own texts are named as the person can type them", () => {
  const texts: [text: string, checkout: string, installed: string][] = [
    [
      "see `bureau agent show --help`",
      "see `sh tasks/bureau agent show --help`",
      "see `bureau agent show --help`",
    ],
    [
      "run `sh tasks/bureau sandbox check`, or bureau doctor",
      "run `sh tasks/bureau sandbox check`, or sh tasks/bureau doctor",
      "run `bureau sandbox check`, or bureau doctor",
    ],
    // Templates, users, paths and the product itself have the same name.
    ...[
      "bureau/template:agent",
      "@bureau/fleet/main:localhost",
      "/run/bureau is missing",
      "bureau       running, for 3 m",
      "Bureau is not running",
    ].map((text): [string, string, string] => [text, text, text]),
  ];
  for (const [text, checkout, installed] of texts) {
    assert.equal(asCalled(text, "sh tasks/bureau"), checkout);
    assert.equal(asCalled(text, "bureau"), installed);
    assert.equal(asCalled(text, null), text);
  }
});
