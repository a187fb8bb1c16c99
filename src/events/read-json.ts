import { jsonFaultIn } from '../json-fault.ts';
import { compact } from './json-text.ts';
import { hasEscapedName, parseEscaped } from './parse-json.ts';

export type JsonResult =
  /** `text` is compact. */
  | { outcome: 'json'; text: string; value: unknown }
  | { outcome: 'too-deep'; path: string }
  | { outcome: 'invalid-json'; detail: string };

/** What JSON was parsed to though its depth is not known: whoever takes it may not walk the value further than that is bounded. */
export interface UnboundedJson {
  value: unknown;
}

/**
 * Texts up to this many characters may be parsed before their depth is known. The engine parses without recursion, but takes
 * some hundred bytes for a level.
 */
const UNBOUNDED_CHARACTERS_MAX = 524_288;

/** Null if the text is long or is not JSON; {@link readJson} says what it is. */
export function parseUnbounded(text: string): UnboundedJson | null {
  if (text.length > UNBOUNDED_CHARACTERS_MAX) return null;
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}

/**
 * JSON, its depth bounded before anything is parsed. `text` is what {@link decodeUtf8} makes of a body; `parsed` is of the same
 * text, if it was parsed already.
 */
export function readJson(text: string | null, depthMax: number, parsed: UnboundedJson | null = null): JsonResult {
  if (text === null) return { outcome: 'invalid-json', detail: 'The body is not valid UTF-8.' };
  const short = compact(text, depthMax);
  if (short.outcome === 'too-deep') return short;
  try {
    const value: unknown = parsed === null ? JSON.parse(text) : parsed.value;
    return {
      outcome: 'json',
      text: short.text,
      value: hasEscapedName(short.text) ? parseEscaped(short.text) : value,
    };
  } catch {
    return { outcome: 'invalid-json', detail: `The body is not JSON: ${jsonFaultIn(text)}.` };
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

/** Whether a parsed value has no more than `depthMax` levels; looks no deeper than that. */
export function isWithin(value: unknown, depthMax: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (depthMax === 0) return false;
  const children: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (const child of children) {
    if (!isWithin(child, depthMax - 1)) return false;
  }
  return true;
}
