import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { identityHash } from '../../src/events/hashes.ts';
import { decode, SHORT, STRUCTURED } from './decoding.ts';

function hashes(contentType: string | null, body: unknown, headers: Record<string, string> = {}, now = 0) {
  const result = decode(contentType, body, headers, { now });
  if (result.outcome !== 'decoded') throw new Error(`${result.outcome}: ${result.detail}`);
  const [first] = result.events;
  if (first === undefined) throw new Error('no event');
  return first.event;
}

const content = (body: unknown, now = 0) => hashes(SHORT, body, {}, now).content;

describe('identity', () => {
  test('P3: is source and id and nothing else', () => {
    const one = hashes(SHORT, { type: 'a', source: 's', id: 'i', data: 1 });
    const other = hashes(SHORT, { type: 'b', source: 's', id: 'i', data: 2 });
    expect(one.identity).toMatch(/^[0-9a-f]{32}$/);
    expect(one.identity).toBe(other.identity);
  });

  test('source and id do not run into each other', () => {
    expect(identityHash('ab', 'c')).not.toBe(identityHash('a', 'bc'));
    expect(identityHash('a","b', 'c')).not.toBe(identityHash('a', 'b","c'));
  });

  test('is what it was: logs remember it', () => {
    // The first 16 bytes of SHA-256 over ["/shop","1"].
    expect(identityHash('/shop', '1')).toBe('58a95a698c8a5c1fef446790668fdb5c');
  });
});

describe('content', () => {
  const event = { type: 'a', source: 's', id: 'i', data: { a: 1, b: [1, 2] }, ext: 'x' };

  test.each<[string, Record<string, unknown>]>([
    ['keys of data in another order', { data: { b: [1, 2], a: 1 } }],
    ['another trace', { traceparent: 'x', tracestate: 'y' }],
    ["the hub's attributes", { sequence: '5', topic: 'x', recordedtime: 'x' }],
    ['a null attribute', { subject: null }],
  ])('P3: %s: the same', (_, change) => {
    expect(content({ ...event, ...change })).toBe(content(event));
  });

  test.each<[string, Record<string, unknown>]>([
    ['type', { type: 'b' }],
    ['subject', { subject: 'x' }],
    ['partitionkey', { partitionkey: 'x' }],
    ['dataschema', { dataschema: 'x:y' }],
    ['datacontenttype', { datacontenttype: 'text/plain' }],
    ['data', { data: { a: 1, b: [2, 1] } }],
    ['no data', { data: undefined }],
    ['null data', { data: null }],
    ['an extension', { ext: 'y' }],
    ['a further extension', { more: '' }],
    ['a sent time', { time: '2026-01-01T00:00:00Z' }],
  ])('P3: %s: another', (_, change) => {
    expect(content({ ...event, ...change })).not.toBe(content(event));
  });

  test('a time the hub filled in is no content', () => {
    expect(content(event, 1)).toBe(content(event, 2));
  });

  test('numbers and their texts are one: 1.0, 1e0 and 1', () => {
    expect(content('{"type":"a","data":1.0}')).toBe(content('{"type":"a","data":1}'));
  });

  test('long numbers that a double rounds to one are two', () => {
    const of = (number: string) => content(`{"type":"a","data":{"n":${number}}}`);
    expect(of('9007199254740993')).not.toBe(of('9007199254740992'));
    expect(of('12345678901234567890')).not.toBe(of('12345678901234567891'));
    expect(of('9007199254740993')).toBe(of('9007199254740993'));
  });

  test('half surrogate pairs in data hash, and differ', () => {
    const of = (text: string) => content(`{"type":"a","data":{"n":"${text}"}}`);
    expect(of('\\ud83d')).not.toBe(of('\\ud83e'));
    expect(of('\\ud83d\\ude00')).toBe(of('😀'));
    expect(of('\\\\ud83d')).not.toBe(of('x'));
    expect(of('\\ud83d\\ud83d\\ude00')).toMatch(/^[0-9a-f]{32}$/);
  });

  test('binary mode and structured mode of the same event are the same', () => {
    const binary = hashes('application/json', '{"b":2,"a":1}', {
      'ce-specversion': '1.0',
      'ce-type': 'a',
      'ce-count': '5',
      'ce-flag': 'true',
    });
    const structured = hashes(STRUCTURED, {
      specversion: '1.0',
      type: 'a',
      datacontenttype: 'application/json',
      count: 5,
      flag: true,
      data: { a: 1, b: 2 },
    });
    expect(binary.content).toBe(structured.content);
  });

  test('text in data and the same in base64 are two', () => {
    expect(content({ type: 'a', data: 'AA==' })).not.toBe(content({ type: 'a', data_base64: 'AA==' }));
  });

  test('no order of keys changes it', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (data) => {
        expect(content({ type: 'a', data: reversed(data) })).toBe(content({ type: 'a', data }));
      }),
    );
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).reverse();
  return Object.fromEntries(entries.map(([name, child]) => [name, reversed(child)]));
}
