import { SQL_JSON_CHARS_MAX } from './limits.ts';

/** The values as JSON arrays, in order, each short enough to be one argument. */
export function jsonChunks(values: readonly unknown[]): string[] {
  const groups: string[][] = [];
  let size = 0;
  for (const value of values) {
    const json = JSON.stringify(value);
    const group = groups.at(-1);
    if (group === undefined || size + json.length + 1 > SQL_JSON_CHARS_MAX) {
      groups.push([json]);
      size = 0;
    } else {
      group.push(json);
    }
    size += json.length + 1;
  }
  return groups.map((group) => `[${group.join(',')}]`);
}
