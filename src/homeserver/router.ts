// SPDX-License-Identifier: Apache-2.0

/**
 * Paths to handlers. A segment `:name` matches one percent-encoded segment, `*name` at the end the
 * whole rest, so that a state key with slashes works encoded and raw.
 */
export interface Match<H> {
  readonly handler: H;
  readonly params: Record<string, string>;
}

interface Node<H> {
  readonly fixed: Map<string, Node<H>>;
  param: { readonly name: string; readonly node: Node<H> } | undefined;
  rest: { readonly name: string; readonly methods: Map<string, H> } | undefined;
  readonly methods: Map<string, H>;
}

const newNode = <H>(): Node<H> => ({
  fixed: new Map(),
  param: undefined,
  rest: undefined,
  methods: new Map(),
});

export class Router<H> {
  readonly #root = newNode<H>();

  /** @throws {Error} when the route is there already, or one position has two parameter names */
  add(method: string, pattern: string, handler: H): void {
    let node = this.#root;
    for (const part of pattern.split("/").slice(1)) {
      if (part.startsWith("*")) {
        node.rest ??= { name: part.slice(1), methods: new Map() };
        return put(node.rest.methods, method, handler, pattern);
      }
      if (part.startsWith(":")) {
        node.param ??= { name: part.slice(1), node: newNode() };
        if (node.param.name !== part.slice(1)) throw new Error(`two names at ${pattern}`);
        node = node.param.node;
      } else {
        let next = node.fixed.get(part);
        if (next === undefined) node.fixed.set(part, next = newNode());
        node = next;
      }
    }
    put(node.methods, method, handler, pattern);
  }

  /** @returns the match; `wrong-method` when only the method differs; undefined when nothing fits */
  match(method: string, path: string): Match<H> | "wrong-method" | undefined {
    const parts = path.split("/").slice(1);
    const found = { wrongMethod: false };
    const match = this.#walk(this.#root, parts, 0, method, [], found);
    return match ?? (found.wrongMethod ? "wrong-method" : undefined);
  }

  #walk(
    node: Node<H>,
    parts: readonly string[],
    at: number,
    method: string,
    values: readonly [string, string][],
    found: { wrongMethod: boolean },
  ): Match<H> | undefined {
    if (at === parts.length) return this.#end(node.methods, method, values, found);
    const part = parts[at]!;
    const fixed = node.fixed.get(part);
    if (fixed !== undefined) {
      const match = this.#walk(fixed, parts, at + 1, method, values, found);
      if (match !== undefined) return match;
    }
    if (node.param !== undefined && part !== "") {
      const next: [string, string][] = [...values, [node.param.name, part]];
      const match = this.#walk(node.param.node, parts, at + 1, method, next, found);
      if (match !== undefined) return match;
    }
    if (node.rest !== undefined) {
      const rest: [string, string][] = [...values, [node.rest.name, parts.slice(at).join("/")]];
      return this.#end(node.rest.methods, method, rest, found);
    }
    return undefined;
  }

  #end(
    methods: Map<string, H>,
    method: string,
    values: readonly [string, string][],
    found: { wrongMethod: boolean },
  ): Match<H> | undefined {
    const handler = methods.get(method);
    if (handler === undefined) {
      if (methods.size > 0) found.wrongMethod = true;
      return undefined;
    }
    const params: Record<string, string> = {};
    for (const [name, value] of values) {
      const decoded = decode(value);
      if (decoded === undefined) return undefined;
      params[name] = decoded;
    }
    return { handler, params };
  }
}

function put<H>(methods: Map<string, H>, method: string, handler: H, pattern: string): void {
  if (methods.has(method)) throw new Error(`route ${method} ${pattern} is there already`);
  methods.set(method, handler);
}

function decode(value: string): string | undefined {
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}
