import type { Clock, Log, Random } from './platform.ts';

/** The ports of platform.ts as Workers have them: real time, real chance, JSON lines. */

export const clock: Clock = {
  now: () => Date.now(),
  sleep: (ms) => scheduler.wait(ms),
};

const UINT32_RANGE = 2 ** 32;

export const random: Random = {
  fraction: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / UINT32_RANGE,
  bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};

const WRITE = { info: console.log, warn: console.warn, error: console.error };

export const log: Log = (level, message, fields) => {
  WRITE[level](JSON.stringify({ level, message, ...fields }, readable));
};

/** Errors have no enumerable fields: as they are they would be written as `{}`. */
function readable(_key: string, value: unknown): unknown {
  return value instanceof Error ? { name: value.name, message: value.message, stack: value.stack } : value;
}
