// SPDX-License-Identifier: Apache-2.0

/** Fields of bodies and queries, parsed at the edge. Each throws a MatrixError that names the field. */
import { badJson, invalidParam, missingParam } from "./errors.ts";
import type { Body } from "./http.ts";

export function optionalString(body: Body, name: string): string | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw badJson(`Cannot read "${name}": it is not a string`);
  return value;
}

export function requiredString(body: Body, name: string): string {
  const value = optionalString(body, name);
  if (value === undefined) throw missingParam(`Cannot serve this: "${name}" is missing`);
  return value;
}

export function optionalObject(body: Body, name: string): Body | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) throw badJson(`Cannot read "${name}": it is not an object`);
  return value;
}

export function stringList(body: Body, name: string): string[] {
  const value = body[name];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.some((item) => typeof item !== "string")) {
    throw badJson(`Cannot read "${name}": it is not a list of strings`);
  }
  return value;
}

export function objectList(body: Body, name: string): Body[] {
  const value = body[name];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || !value.every(isObject)) {
    throw badJson(`Cannot read "${name}": it is not a list of objects`);
  }
  return value;
}

export const isObject = (value: unknown): value is Body =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A whole number from the query, held between 0 and `max`. */
export function queryInteger(
  query: URLSearchParams,
  name: string,
  fallback: number,
  max: number,
): number {
  const text = query.get(name);
  if (text === null || text === "") return fallback;
  if (!/^\d{1,15}$/.test(text)) throw invalidParam(`Cannot read "${name}": it is not a number`);
  return Math.min(Number(text), max);
}

/** Which way to read: `f` or `b`. @throws {MatrixError} M_INVALID_PARAM for another word */
export function isForwards(query: URLSearchParams, fallback: "f" | "b"): boolean {
  const text = query.get("dir") ?? fallback;
  if (text !== "f" && text !== "b") throw invalidParam('Cannot read "dir": it is neither f nor b');
  return text === "f";
}

const LOCALPART = /^[a-z0-9._=\-/+]+$/;

/** The user id of a new account. @throws {MatrixError} M_INVALID_USERNAME-class */
export function newUserId(localpart: string, serverName: string): string | undefined {
  const userId = `@${localpart}:${serverName}`;
  return LOCALPART.test(localpart) && userId.length <= 255 ? userId : undefined;
}

/** A user id of any server, as far as its form goes. */
export function checkUserId(userId: string): string {
  if (!/^@[^:\0]*:[^\0]+$/.test(userId) || userId.length > 255) {
    throw invalidParam(`Cannot use "${userId.slice(0, 80)}": it is not a user id`);
  }
  return userId;
}
