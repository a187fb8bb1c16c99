import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonical } from '../../src/events/canonical.ts';
import { checkAttributes, checkBySchema } from '../../src/events/cloudevent.ts';
import { quickAttributes } from '../../src/events/quick-attributes.ts';
import { BATCH, decode, decodedTexts, SHORT, STRUCTURED } from './decoding.ts';

/** The quick ways through publishing give what the thorough ones give. */

const names = [
  ...['specversion', 'id', 'source', 'type', 'subject', 'time', 'datacontenttype', 'dataschema', 'partitionkey'],
  ...['ext', 'a1', '12', 'data', 'data_base64', 'constructor'],
];
const texts = fc.oneof(
  fc.constantFrom('1.0', '/shop', 'a b', '', 'AA==', 'application/json', 'text/plain; charset=utf-8', 'x:y', 'json'),
  fc.constantFrom(
    '2026-01-01T12:00:00Z',
    '2026-13-01T12:00:00Z',
    'a\u0000b',
    '\ud83d',
    'x'.repeat(256),
    'x'.repeat(257),
  ),
  fc.string({ unit: 'grapheme' }),
);
const values = fc.oneof({ weight: 4, arbitrary: texts }, fc.integer(), fc.double(), fc.boolean(), fc.constant({}));
const events = fc.dictionary(fc.constantFrom(...names), values, { noNullPrototype: true });

test('an event passes the quick check only as it passes the schema, with the same attributes', () => {
  let quick = 0;
  fc.assert(
    fc.property(events, fc.boolean(), fc.boolean(), (random, short, usual) => {
      const event = usual ? { specversion: '1.0', type: 'a', source: '/s', ...random } : random;
      const attributes = quickAttributes(event, short);
      if (attributes === null) return;
      quick++;
      expect(checkBySchema(event, short)).toEqual({ ok: true, attributes });
    }),
    { numRuns: 3_000 },
  );
  expect(quick).toBeGreaterThan(10);
});

test('what the quick check does not know goes to the schema', () => {
  const event = { specversion: '1.0', type: 'a', data_base64: 'AA==' };
  expect(quickAttributes(event, false)).toBeNull();
  expect(checkAttributes(event, false).ok).toBe(true);
});

test('the canonical text is that of RFC 8785', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'grapheme' }), (value) => {
      expect(canonical(value)).toBe(canonicalize(value));
    }),
  );
  for (const text of ['{"b":{"10":1,"9":2,"a":3},"a":[{"y":-0,"x":1e21}]}', '{"b":1,"__proto__":{"z":1,"y":2}}']) {
    expect(canonical(JSON.parse(text))).toBe(canonicalize(JSON.parse(text)));
  }
});

describe('an event is stored the same', () => {
  const json = (content: string, body: string, topicTime = 0) =>
    decodedTexts(decode(content, body, {}, { now: topicTime }));
  const head = '"specversion":"1.0","id":"i","source":"/s","type":"a","time":"2026-01-01T12:00:00Z"';

  test.each([
    '{"b":1,"a":[{"d":1.5,"c":null}]}',
    '{"b":1.0,"a":1}',
    '{"n":9007199254740993}',
    '{"9":1,"10":2}',
    '{"10":1,"9":2}',
    '"\\u0041"',
    '"\\ud83d"',
    'null',
  ])('with data %s, however it is sent', (data) => {
    const stored = `{${head},"data":${data}}`;
    expect(json(STRUCTURED, stored)).toEqual([stored]);
    expect(json(STRUCTURED, ` { "data" : ${data} , ${head.replaceAll(',', ' ,\n')} } `)).toEqual([stored]);
    expect(json(SHORT, stored.replace('"specversion":"1.0",', ''))).toEqual([stored]);
    const escaped = `{${head.replace('"a"', '"\\u0061"')},"data":${data}}`;
    expect(json(BATCH, `[${[stored, escaped, `{"data":${data},${head}}`, stored].join(',')}]`)).toEqual(
      new Array(4).fill(stored),
    );
  });

  test('a name twice is refused wherever it is, in any event of a batch', () => {
    for (const data of ['{"x":1,"x":1}', '[{"x":1,"y":{"z":1,"z":1}}]']) {
      const bad = `{${head},"data":${data}}`;
      expect(decode(STRUCTURED, bad).outcome).toBe('invalid-event');
      expect(decode(BATCH, `[{${head}},${bad},{${head}}]`).outcome).toBe('invalid-event');
    }
    expect(decode(BATCH, `[{${head},"subject":"x","subject":"x"}]`).outcome).toBe('invalid-event');
    expect(decode(BATCH, `[{${head},"data":1,"data":1}]`).outcome).toBe('invalid-event');
  });

  test('data that is one level too deep is refused alone and in a batch', () => {
    const data = (depth: number) => `{${head},"data":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    expect(decode(STRUCTURED, data(128)).outcome).toBe('decoded');
    expect(decode(STRUCTURED, data(129)).outcome).toBe('invalid-event');
    expect(decode(BATCH, `[${data(128)}]`).outcome).toBe('decoded');
    expect(decode(BATCH, `[${data(129)}]`).outcome).toBe('invalid-event');
  });
});
