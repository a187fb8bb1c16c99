import { compact } from './json-text.ts';

export type JsonResult =
  /** `text` is compact; `depth`: levels of arrays and objects in it. */
  | { outcome: 'json'; text: string; value: unknown; depth: number }
  | { outcome: 'too-deep'; index: number }
  | { outcome: 'invalid-json'; detail: string };

/** JSON in UTF-8, with or without a byte order mark. Depth is bounded before anything is parsed. */
export function readJson(body: Uint8Array, depthMax: number): JsonResult {
  const text = decodeUtf8(body, false);
  if (text === null) return { outcome: 'invalid-json', detail: 'The body is not valid UTF-8.' };
  const short = compact(text, depthMax);
  if (short.outcome === 'too-deep') return short;
  try {
    return { outcome: 'json', text: short.text, value: JSON.parse(text), depth: short.depth };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it cannot be parsed';
    return { outcome: 'invalid-json', detail: `The body is not JSON: ${reason}.` };
  }
}

/** Null if the bytes are not UTF-8. `keepMark`: a byte order mark is text. */
export function decodeUtf8(bytes: Uint8Array, keepMark: boolean): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: keepMark }).decode(bytes);
  } catch {
    return null;
  }
}

/** Whether a JSON text has more than `depthMax` levels. */
export function isDeeper(text: string, depthMax: number): boolean {
  return compact(text, depthMax).outcome === 'too-deep';
}
