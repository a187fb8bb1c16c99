import { isTimeSent } from '../../src/events/content.ts';
import { type DecodeInput, type DecodeResult, decodeRequest } from '../../src/events/decode.ts';

/** Support for the tests of decoding. */

export const NOW = Date.UTC(2026, 10, 23, 20);
export const STRUCTURED = 'application/cloudevents+json';
export const BATCH = 'application/cloudevents-batch+json';
export const SHORT = 'application/json';

export const utf8 = (text: string) => new TextEncoder().encode(text);

/** Decodes with fixed defaults. A body that is neither text nor bytes is sent as JSON. */
export function decode(
  contentType: string | null,
  body: unknown,
  headers: Record<string, string> = {},
  more: Partial<DecodeInput> = {},
): DecodeResult {
  const bytes = body instanceof Uint8Array ? body : utf8(typeof body === 'string' ? body : JSON.stringify(body));
  const all = contentType === null ? headers : { ...headers, 'Content-Type': contentType };
  return decodeRequest({
    contentType,
    headers: Object.entries(all),
    body: bytes,
    topic: 'orders',
    now: NOW,
    makeId: (index) => `made-${index}`,
    ...more,
  });
}

/** An event that was decoded, unpacked. */
export interface Decoded {
  id: string;
  source: string;
  key: string | null;
  json: string;
  /** Hex digits. */
  identity: string;
  mark: string;
  timeSent: boolean;
}

/** The events of a request that has to be good. */
export function decodedAll(result: DecodeResult): Decoded[] {
  if (result.outcome !== 'decoded') throw new Error(`${result.outcome}: ${result.detail}`);
  const { events, ids, sources } = result;
  const texts = events.lines.split('\n');
  const keys: (string | null)[] = events.keys === null ? texts.map(() => null) : JSON.parse(events.keys);
  const counts = [events.count, ids.length, sources.length, texts.length, keys.length, events.hashes.length / 32];
  if (new Set(counts).size > 1) throw new Error(`${counts}`);
  return texts.map((json, index) => {
    const mark = events.hashes.subarray(index * 32 + 16, index * 32 + 32);
    return {
      id: ids[index] ?? '',
      source: sources[index] ?? '',
      key: keys[index] ?? null,
      json,
      identity: hex(events.hashes.subarray(index * 32, index * 32 + 16)),
      mark: hex(mark),
      timeSent: isTimeSent(mark),
    };
  });
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** The events of a request that has to be good, as text. */
export function decodedTexts(result: DecodeResult): string[] {
  return decodedAll(result).map(({ json }) => json);
}

/** The one event of a request that has to be good. */
export function decodedOne(result: DecodeResult): Record<string, unknown> {
  const [text = '', ...others] = decodedTexts(result);
  if (others.length > 0) throw new Error('more than one event');
  return JSON.parse(text);
}

/** What is wrong with a request, as `path message` lines. */
export function errorsOf(result: DecodeResult): string[] {
  return result.outcome === 'invalid-event' ? result.errors.map(({ path, message }) => `${path} ${message}`) : [];
}
