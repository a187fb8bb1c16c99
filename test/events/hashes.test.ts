import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ComparedEvent, isSameContent, isTimeSent } from '../../src/events/content.ts';
import { IDENTITY_BYTES, identityHash } from '../../src/events/hashes.ts';
import { packEvents } from '../../src/events/new-event.ts';
import { decode, decodedAll, hex, SHORT, STRUCTURED } from './decoding.ts';

function hashes(contentType: string | null, body: unknown, headers: Record<string, string> = {}, now = 0) {
  const result = decode(contentType, body, headers, { now });
  const [first] = decodedAll(result);
  if (first === undefined) throw new Error('no event');
  return first;
}

const kinds: ComparedEvent[] = [];

/** A number for each content. */
function kindOf(event: ComparedEvent): number {
  const known = kinds.findIndex((kind) => isSameContent(kind, event));
  return known === -1 ? kinds.push(event) - 1 : known;
}

const content = (body: unknown, now = 0) => kindOf(hashes(SHORT, body, {}, now));

function identity(source: string, id: string): string {
  const out = new Uint8Array(IDENTITY_BYTES);
  identityHash(source, id, out, 0);
  return hex(out);
}

describe('identity', () => {
  test('P3: is source and id and nothing else', () => {
    const one = hashes(SHORT, { type: 'a', source: 's', id: 'i', data: 1 });
    const other = hashes(SHORT, { type: 'b', source: 's', id: 'i', data: 2 });
    expect(one.identity).toMatch(/^[0-9a-f]{32}$/);
    expect(one.identity).toBe(other.identity);
  });

  test('source and id do not run into each other', () => {
    expect(identity('ab', 'c')).not.toBe(identity('a', 'bc'));
    expect(identity('a","b', 'c')).not.toBe(identity('a', 'b","c'));
  });

  test('is written where it is told to', () => {
    const out = new Uint8Array(20).fill(0xee);
    identityHash('/shop', '1', out, 2);
    expect(hex(out)).toBe('eeee58a95a698c8a5c1fef446790668fdb5ceeee');
  });

  test('is what it was: logs remember it', () => {
    // The first 16 bytes of SHA-256 over ["/shop","1"].
    expect(identity('/shop', '1')).toBe('58a95a698c8a5c1fef446790668fdb5c');
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

  test.each([
    ['1', '1.0', '1e0', '10E-1', '0.1e+1'],
    ['100', '1e2', '1E+2', '100.00'],
    ['1e-7', '0.0000001', '1E-07'],
    ['1e21', '1e+21', '1000000000000000000000'],
    ['-0.5', '-5e-1'],
    ['0', '-0', '0.0', '0e9', '-0.0e-9'],
    ['12345678901234567890', '12345678901234567890.0', '1.234567890123456789e19'],
  ])('P3: a number is the same however it is written: %s', (number, ...others) => {
    const of = (literal: string) => content(`{"type":"a","data":[${literal}]}`);
    for (const other of others) expect(of(other), other).toBe(of(number));
  });

  test('long numbers that a double rounds to one are two', () => {
    const of = (number: string) => content(`{"type":"a","data":{"n":${number}}}`);
    expect(of('9007199254740993')).not.toBe(of('9007199254740992'));
    expect(of('12345678901234567890')).not.toBe(of('12345678901234567891'));
    expect(of('9007199254740993')).toBe(of('9007199254740993'));
  });

  test('P3: long numbers that change places are others', () => {
    const [low, high] = ['9007199254740992', '9007199254740993'];
    const of = (data: string) => content(`{"type":"a","data":${data}}`);
    expect(of(`[${low},${high}]`)).not.toBe(of(`[${high},${low}]`));
    expect(of(`{"a":${low},"b":${high}}`)).not.toBe(of(`{"a":${high},"b":${low}}`));
    expect(of(`{"a":${low},"b":${high}}`)).toBe(of(`{"b":${high},"a":${low}}`));
    expect(of(`[${high}]`)).not.toBe(of(`["${high}"]`));
    expect(of(`["\\ud83d",${high}]`)).not.toBe(of(`["\\ud83d",${low}]`));
  });

  test('half surrogate pairs in data hash, and differ', () => {
    const of = (text: string) => content(`{"type":"a","data":{"n":"${text}"}}`);
    expect(of('\\ud83d')).not.toBe(of('\\ud83e'));
    expect(of('\\ud83d')).toBe(of('\\uD83D'));
    expect(of('\\ud83d')).not.toBe(of('\\\\ud83d'));
    expect(of('\\ud83d\\ude00')).toBe(of('😀'));
    expect(of('\\\\ud83d')).not.toBe(of('x'));
    expect(of('\\ud83d\\ud83d\\ude00')).not.toBe(of('\\ud83d\\ude00'));
  });

  test('bytes are the same however their base64 ends', () => {
    const of = (text: string) => content({ type: 'a', data_base64: text });
    expect(of('AB==')).toBe(of('AA=='));
    expect(of('AAB=')).toBe(of('AAA='));
    expect(of('AQ==')).not.toBe(of('AA=='));
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
    expect(isSameContent(binary, structured)).toBe(true);
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

describe('the mark of a content', () => {
  const mark = (body: unknown, now = 0) => hashes(SHORT, body, {}, now).mark;
  const event = { type: 'a', source: 's', id: 'i', data: { a: 1, b: 'é' } };

  test('is what it was: logs remember it', () => {
    expect(mark({ type: 'a' })).toBe('763367a26e1e79008c914318536644a4');
  });

  test('P3 is the same where the same is sent, whenever that is', () => {
    expect(mark(event, 1)).toBe(mark(event, 2));
    const text = JSON.stringify(event);
    expect(mark(` ${text} `)).toBe(mark(text));
  });

  test('P3 of no two different events is the same, whatever few characters they differ in', () => {
    fc.assert(
      fc.property(fc.json(), fc.json(), (one, other) => {
        const [a, b] = [one, other].map((data) => `{"type":"a","data":${data}}`);
        expect(mark(a) === mark(b)).toBe(one === other);
      }),
      { numRuns: 2_000 },
    );
    const text = JSON.stringify({ ...event, data: 'x'.repeat(40) });
    const marks = new Set([mark(text)]);
    let last = text;
    for (let at = text.indexOf('xx'); at < text.length - 2; at++) {
      for (const letter of 'ab0') {
        last = `${text.slice(0, at)}${letter}${text.slice(at + 1)}`;
        marks.add(mark(last));
      }
    }
    expect(marks.size).toBe(40 * 3 + 1);
  });

  test('says whether the time was sent', () => {
    const last = (body: unknown) => Number.parseInt(mark(body).slice(-1), 16) & 1;
    for (let number = 0; number < 20; number++) {
      expect(last({ type: 'a', data: number })).toBe(0);
      expect(last({ type: 'a', data: number, time: '2026-01-01T00:00:00Z' })).toBe(1);
    }
  });
});

test('events of the hub itself are packed: by source and id, and by their JSON', () => {
  const one = { source: '/shop', id: '1', key: 'k', json: '{"a":1}' };
  const packed = packEvents([one, { ...one, key: null, json: '{}' }]);
  expect({ ...packed, hashes: undefined }).toEqual({ count: 2, lines: `${one.json}\n{}`, keys: '["k",null]' });
  const [first, firstMark, second, secondMark] = [0, 16, 32, 48].map((at) => hex(packed.hashes.slice(at, at + 16)));
  expect([first, second]).toEqual([identity('/shop', '1'), identity('/shop', '1')]);
  expect(firstMark).not.toBe(secondMark);
  expect(isTimeSent(packed.hashes.subarray(16, 32))).toBe(true);
});
