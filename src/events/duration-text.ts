const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

const DAY_MS = 86_400_000;

const DURATION = /^(\d{1,15})(ms|s|m|h|d)$/;

/** Milliseconds of `500ms`, `15s`, `5m`, `24h` or `7d`: a whole number and one unit; null if it is none of these. */
export function parseDuration(text: string): number | null {
  const match = DURATION.exec(text);
  if (match === null) return null;
  const unit = UNITS.find(([name]) => name === match[2]);
  if (unit === undefined) return null;
  const ms = Number(match[1]) * unit[1];
  return Number.isSafeInteger(ms) ? ms : null;
}

/** The shortest duration that is exactly `ms` (a whole number, 0 or more); one day stays `24h`, as people write it. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  if (ms === DAY_MS) return '24h';
  for (const [name, unit] of UNITS) {
    if (ms % unit === 0) return `${ms / unit}${name}`;
  }
  return `${ms}ms`;
}
