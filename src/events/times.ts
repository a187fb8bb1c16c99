const RFC_3339 = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;

/** Most of the times in UTC that {@link parseTime} takes, and none that it doesn't; a tenth of its cost. */
const PLAIN_TIME = new RegExp(
  [
    '^\\d{4}-',
    '(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)',
    'T(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?Z$',
  ].join(''),
);

const MINUTE_MS = 60_000;

/** The last instant with a year of four digits. */
const TIME_MAX = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/**
 * Milliseconds since the epoch of an RFC 3339 time, or null if it is none: a date and a time with an offset, each field in
 * its range, nothing around it. Digits below the millisecond are dropped. Times before 1970 are negative.
 */
export function parseTime(text: string): number | null {
  const match = RFC_3339.exec(text);
  if (match === null) return null;
  const field = (group: number) => Number(match[group] ?? 0);
  const [year, month, day] = [field(1), field(2), field(3)];
  const [hour, minute, second] = [field(4), field(5), field(6)];
  const millisecond = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  const [offsetHours, offsetMinutes] = [field(9), field(10)];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null;
  if (hour > 23 || minute > 59 || second > 60 || offsetHours > 23 || offsetMinutes > 59) return null;

  const sign = match[8] === '-' ? -1 : 1;
  const local = new Date(0);
  local.setUTCFullYear(year, month - 1, day);
  local.setUTCHours(hour, minute, Math.min(second, 59), millisecond);
  const time = local.getTime() - sign * (offsetHours * 60 + offsetMinutes) * MINUTE_MS;
  // A leap second is only ever the last of a UTC day; it counts as the first of the next, as POSIX has it.
  if (second === 60) {
    const utc = new Date(time);
    if (utc.getUTCHours() !== 23 || utc.getUTCMinutes() !== 59) return null;
    return inRange(time + 1_000);
  }
  return inRange(time);
}

/**
 * {@link parseTime}, and half a millisecond more where there are digits below the millisecond: so it lies between two
 * times that the hub tells apart, which is all that counts of it.
 */
export function parseInstant(text: string): number | null {
  const time = parseTime(text);
  return time !== null && /\.\d{3}\d*[1-9]/.test(text) ? time + 0.5 : time;
}

/** Whether it is an RFC 3339 time. */
export function isTime(text: string): boolean {
  return PLAIN_TIME.test(text) || parseTime(text) !== null;
}

/** RFC 3339 in UTC with milliseconds: `2026-11-23T20:00:00.000Z`. */
export function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}

function inRange(time: number): number | null {
  return time <= TIME_MAX ? time : null;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
