// SPDX-License-Identifier: Apache-2.0

/** Power levels of room versions 10 and 11: integers only. */
import { badJson, forbidden } from "./errors.ts";

export type Content = Readonly<Record<string, unknown>>;

const SCALARS: Readonly<Record<string, number>> = {
  users_default: 0,
  events_default: 0,
  state_default: 50,
  ban: 50,
  redact: 50,
  kick: 50,
  invite: 0,
};

export type ScalarLevel = keyof typeof SCALARS;

/** What a room's levels say; built from its power_levels event, or from its creator without one. */
export interface PowerLevels {
  user(userId: string): number;
  event(type: string, isState: boolean): number;
  scalar(name: "ban" | "redact" | "kick" | "invite"): number;
}

const integer = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) ? value : undefined;

const table = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Record<string, unknown>
    : {};

const lookup = (value: unknown, key: string): number | undefined => {
  const levels = table(value);
  return Object.hasOwn(levels, key) ? integer(levels[key]) : undefined;
};

/**
 * @param content of the current `m.room.power_levels`; undefined while the room has none, when the
 * creator has 100 and state needs 0
 */
export function powerLevels(content: Content | undefined, creator: string): PowerLevels {
  if (content === undefined) {
    return {
      user: (userId) => userId === creator ? 100 : 0,
      event: () => 0,
      scalar: (name) => SCALARS[name]!,
    };
  }
  const scalar = (name: string) => integer(content[name]) ?? SCALARS[name]!;
  return {
    user: (userId) => lookup(content["users"], userId) ?? scalar("users_default"),
    event: (type, isState) =>
      lookup(content["events"], type) ?? scalar(isState ? "state_default" : "events_default"),
    scalar,
  };
}

/** @throws {MatrixError} M_BAD_JSON when a level is not an integer or a user is not a user id */
export function checkPowerLevelsShape(content: Content): void {
  for (const name of Object.keys(SCALARS)) {
    if (content[name] !== undefined && integer(content[name]) === undefined) {
      throw badJson(`Cannot set power levels: "${name}" is not an integer`);
    }
  }
  for (const group of ["events", "users", "notifications"]) {
    const value = content[group];
    if (value === undefined) continue;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw badJson(`Cannot set power levels: "${group}" is not an object`);
    }
    for (const [key, level] of Object.entries(value)) {
      if (integer(level) === undefined) {
        throw badJson(`Cannot set power levels: "${group}.${key}" is not an integer`);
      }
      if (group === "users" && !/^@[^:\0]*:.+$/.test(key)) {
        throw badJson(`Cannot set power levels: "${key}" is not a user id`);
      }
    }
  }
}

/**
 * Whether `sender` may replace `before` by `after`: nothing above the own level may be touched, in
 * either direction, and nobody at or above it but oneself.
 *
 * @throws {MatrixError} M_FORBIDDEN, M_BAD_JSON
 */
export function checkPowerLevelsChange(
  sender: string,
  before: Content | undefined,
  after: Content,
  level: number,
): void {
  checkPowerLevelsShape(after);
  if (before === undefined) return;
  const check = (name: string, from: number | undefined, to: number | undefined) => {
    if (from === to) return;
    if ((from ?? -Infinity) > level || (to ?? -Infinity) > level) {
      throw forbidden(`Cannot change power level "${name}": it is above your own ${level}`);
    }
  };
  for (const name of Object.keys(SCALARS)) {
    check(name, integer(before[name]), integer(after[name]));
  }
  for (const group of ["events", "notifications", "users"]) {
    const [from, to] = [before[group], after[group]];
    for (const key of new Set([...Object.keys(table(from)), ...Object.keys(table(to))])) {
      const [old, fresh] = [lookup(from, key), lookup(to, key)];
      check(`${group}.${key}`, old, fresh);
      if (group === "users" && old !== fresh && key !== sender && (old ?? -Infinity) >= level) {
        throw forbidden(`Cannot change the power level of "${key}": it is not below your own`);
      }
    }
  }
}
