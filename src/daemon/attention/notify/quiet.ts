// SPDX-License-Identifier: Apache-2.0

/** Quiet hours: `22:00-07:00`, every day, in one time zone. */

const DAY = 24 * 60;

/** @returns how long they last from now on, ms; 0: it is none of them */
export function quietForMs(
  hours: string | undefined,
  zone: string | undefined,
  now: number,
): number {
  const [, fromHour, fromMinute, toHour, toMinute] =
    /^(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(hours ?? "") ?? [];
  if (toMinute === undefined) return 0;
  const from = Number(fromHour) * 60 + Number(fromMinute);
  const to = Number(toHour) * 60 + Number(toMinute);
  const minute = minuteOfDay(now, zone ?? "UTC");
  const since = (minute - from + DAY) % DAY;
  const length = (to - from + DAY) % DAY;
  if (since >= length) return 0;
  // Where clocks are set meanwhile, whoever waits looks again.
  return (length - since) * 60_000 - now % 60_000;
}

function minuteOfDay(now: number, timeZone: string): number {
  const parts = new Intl.DateTimeFormat("en-GB", {
    timeZone,
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  }).formatToParts(now);
  const of = (type: string) => Number(parts.find((part) => part.type === type)?.value ?? 0);
  return of("hour") * 60 + of("minute");
}
