// SPDX-License-Identifier: Apache-2.0

/** The table of all routes against a slow oracle that tries every pattern. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Router } from "./router.ts";
import { allRoutes } from "./server.ts";

interface Route {
  readonly method: string;
  readonly pattern: string;
}

/** Every route of the server, by watching how the table is filled. */
function listRoutes(): Route[] {
  const list: Route[] = [];
  const add = Router.prototype.add;
  Router.prototype.add = function (method, pattern, handler) {
    list.push({ method, pattern });
    add.call(this, method, pattern, handler);
  };
  try {
    allRoutes();
  } finally {
    Router.prototype.add = add;
  }
  return list;
}

const routes = listRoutes();
const router = new Router<string>();
for (const { method, pattern } of routes) router.add(method, pattern, `${method} ${pattern}`);

const decode = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};

/** The parameters if the pattern fits, with how special each of its parts is: fixed before named. */
function fit(pattern: string, path: string) {
  const [wanted, given] = [pattern.split("/").slice(1), path.split("/").slice(1)];
  const params: Record<string, string> = {};
  let rank = "";
  for (const [at, part] of wanted.entries()) {
    const isRest = part.startsWith("*");
    if (isRest ? given.length <= at : given[at] === undefined) return undefined;
    if (!isRest && !part.startsWith(":")) {
      if (given[at] !== part) return undefined;
      rank += "0";
      continue;
    }
    const value = decode(isRest ? given.slice(at).join("/") : given[at]!);
    if (value === undefined || (!isRest && given[at] === "")) return undefined;
    params[part.slice(1)] = value;
    rank += isRest ? "2" : "1";
    if (isRest) return { params, rank };
  }
  return wanted.length === given.length ? { params, rank } : undefined;
}

function oracle(method: string, path: string) {
  return routes.filter((route) => route.method === method)
    .flatMap(({ pattern }) => {
      const found = fit(pattern, path);
      return found === undefined ? [] : [{ handler: `${method} ${pattern}`, ...found }];
    })
    .sort((a, b) => a.rank < b.rank ? -1 : 1)[0];
}

const method = fc.constantFrom("GET", "PUT", "POST", "DELETE", "PATCH");
const fixed = [...new Set(routes.flatMap(({ pattern }) => pattern.split("/")))];
const name = fc.string({ unit: "grapheme", minLength: 1 }).filter((text) => text.isWellFormed());
const part = fc.oneof(
  fc.constantFrom(...fixed.filter((text) => !/^[:*]/.test(text))),
  fc.constantFrom("", ".", "..", "%2e%2e", "%", "%zz", "%C3", "%2F", "__proto__", "constructor"),
  name.map(encodeURIComponent),
  fc.string(),
);
/** A path of some route, with other names in the places of its parameters. */
const likely = fc.constantFrom(...routes).chain(({ pattern }) =>
  fc.tuple(
    ...pattern.split("/").slice(1).map((text) => /^[:*]/.test(text) ? part : fc.constant(text)),
  ).map((parts) => `/${parts.join("/")}`)
);
const anyPath = fc.oneof(likely, fc.array(part).map((parts) => `/${parts.join("/")}`), fc.string());

Deno.test("Router.match() finds what an oracle finds that tries every pattern", () => {
  fc.assert(
    fc.property(method, anyPath, (verb, path) => {
      const match = router.match(verb, path);
      const wanted = oracle(verb, path);
      if (wanted === undefined) return assert.ok(typeof match !== "object", `${verb} ${path}`);
      assert.ok(typeof match === "object", `${verb} ${path}: ${match}`);
      assert.deepEqual(match, { handler: wanted.handler, params: wanted.params });
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("Router.match() gives every parameter of every route back, whatever is in it", () => {
  const fixedParts = new Set(fixed);
  fc.assert(
    fc.property(
      fc.constantFrom(...routes),
      fc.infiniteStream(name),
      ({ method, pattern }, names) => {
        const wanted: Record<string, string> = {};
        const path = pattern.split("/").map((text) => {
          if (!/^[:*]/.test(text)) return text;
          wanted[text.slice(1)] = names.next().value!;
          return encodeURIComponent(wanted[text.slice(1)]!);
        });
        // A room that is named like a fixed part of a sibling route is that sibling.
        if (Object.values(wanted).some((value) => fixedParts.has(value))) return;
        assert.deepEqual(router.match(method, path.join("/")), {
          handler: `${method} ${pattern}`,
          params: wanted,
        });
      },
    ),
    { numRuns: 1_000 },
  );
});
