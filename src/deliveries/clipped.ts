const CHARACTERS_MAX = 200;

/** What others wrote, as it may stand in a line of the log: its beginning. Never throws. */
export function clipped(value: unknown): string {
  const text = typeof value === 'string' ? value : written(value);
  return text.length > CHARACTERS_MAX ? `${text.slice(0, CHARACTERS_MAX)}…` : text;
}

function written(value: unknown): string {
  try {
    return String(JSON.stringify(value));
  } catch {
    return Object.prototype.toString.call(value);
  }
}
