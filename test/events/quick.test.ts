import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonical } from '../../src/events/canonical.ts';
import { checkAttributes, checkBySchema } from '../../src/events/cloudevent.ts';
import type { DecodeResult } from '../../src/events/decode.ts';
import { PUBLISH_LIMITS } from '../../src/events/limits.ts';
import { quickAttributes } from '../../src/events/quick-attributes.ts';
import { formatTime, isTime, parseTime } from '../../src/events/times.ts';
import { BATCH, decode, decodedAll, decodedTexts, errorsOf, SHORT, STRUCTURED } from './decoding.ts';

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
      const attributes = quickAttributes(Object.keys(event), Object.values(event), short);
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
  expect(quickAttributes(Object.keys(event), Object.values(event), false)).toBeNull();
  expect(checkAttributes(event, false).ok).toBe(true);
});

test('the canonical text is that of RFC 8785', () => {
  fc.assert(
    fc.property(fc.jsonValue({ stringUnit: 'grapheme' }), (value) => {
      expect(canonical(JSON.stringify(value))).toBe(canonicalize(value));
    }),
  );
  for (const text of [
    '{"b":{"10":1,"9":2,"a":3},"a":[{"y":-0,"x":1e21}]}',
    '{"b":1,"__proto__":{"z":1,"y":2}}',
    '[[],{},[[]]]',
  ]) {
    expect(canonical(text)).toBe(canonicalize(JSON.parse(text)));
  }
  const many = Object.fromEntries(
    Array.from({ length: 100 }, (_, index) => [`${(index * 37) % 100}`.padStart(3, 'x'), index]),
  );
  expect(canonical(JSON.stringify([many]))).toBe(canonicalize([many]));
  expect(canonical('{"a":12345678901234567890,"\\u0041":1.0e0,"b":1e-400}')).toBe(
    '{"A":1,"a":1234567890123456789e1,"b":1e-400}',
  );
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

describe('the quick way and the thorough way', () => {
  /** Ignored whatever it is; but an event with an object for it goes the thorough way. */
  const THOROUGH = '"topic":{}';

  const unusual = fc.constantFrom(
    ...['1.50', '1e2', '1E+2', '-0', '0.1', '9007199254740993', '12345678901234567890', '1e-7', '0.0000001', '1e999'],
    ...['"\\ud83d"', '"\\ud83d\\ude00"', '"\\u0041"', '"\\/"', '"\\n"', '"\u007f\u0085\u2028"', '"😀é"', '"\\\\ud83d"'],
    ...['{"a":1,"a":2}', '{"b":1,"a":2}', '{"10":1,"9":2}', '{"__proto__":{"x":1}}', '{"\\u0061":1}', '{"\\ud83d":1}'],
    ...[127, 128, 129, 130, 131, 1_000].map((depth) => '['.repeat(depth) + ']'.repeat(depth)),
    `${'{"a":'.repeat(129)}1${'}'.repeat(129)}`,
  );
  const space = fc.constantFrom('', '', '', '', ' ', '\n', '\t \r\n');
  const data = fc.oneof(
    fc.jsonValue({ stringUnit: 'binary' }).map((value) => JSON.stringify(value)),
    fc.json(),
    unusual,
    unusual.map((text) => `[1,{"x":${text}},"a"]`),
    space.map((white) => `{"x":${white}1${white},"a":[${white}]}`),
  );
  const member = fc.oneof(
    { weight: 3, arbitrary: data.map((text) => `"data":${text}`) },
    fc.constantFrom('"subject":"s"', '"subject":null', '"partitionkey":"p"', '"subject":"\\u0073"', '"subject":"é"'),
    fc.constantFrom('"datacontenttype":"application/json"', '"dataschema":"x:y"', '"data_base64":"AA=="'),
    fc.constantFrom('"a":1', '"b":true', '"traceparent":"t"', '"12":"x"', '"Bad":1', '"topic":"x"', '"type":"b"'),
    fc.constantFrom(
      '"time":"2026-01-31T12:00:00Z"',
      '"time":"2026-02-30T12:00:00Z"',
      '"id":"j"',
      '"id":""',
      '"sequence":[[]]',
    ),
  );
  const head = fc.constantFrom(
    '"specversion":"1.0","id":"i","source":"/s","type":"a","time":"2026-01-01T12:00:00Z"',
    '"specversion":"1.0","id":"i","source":"/s","type":"a"',
    '"specversion":"1.0","type":"a"',
    '"type":"a"',
    '"source":"/s","id":"i","type":"a","specversion":"1.0"',
  );
  /** The members of an event, as text. */
  const event = fc.tuple(head, fc.array(member, { maxLength: 3 }), space).map(([first, others, white]) => ({
    members: [first, ...others].join(`${white},${white}`),
    white,
  }));
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const trace = fc.constantFrom(null, { traceparent, tracestate: null }, { traceparent, tracestate: 'a=1' });
  const limits = fc.constantFrom(PUBLISH_LIMITS, { ...PUBLISH_LIMITS, eventBytes: 160 });

  /** What came of a request, with the events unpacked; but for their marks, which are those of the texts that were sent. */
  function seen(result: DecodeResult) {
    return result.outcome === 'decoded' ? decodedAll(result).map((event) => ({ ...event, mark: '' })) : result;
  }

  test('give the same events and refusals', () => {
    const outcomes = new Map<string, number>();
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 1, maxLength: 4 }),
        fc.constantFrom(STRUCTURED, BATCH, SHORT),
        fc.record({ trace, limits }),
        fc.nat({ max: 19 }),
        (events, contentType, more, chance) => {
          const body = (last: string) => {
            const texts = events.map(({ members, white }) => `${white}{${members}${white}${last}}${white}`);
            return contentType === STRUCTURED ? (texts[0] ?? '') : `[${texts.join(',')}]`;
          };
          const result = decode(contentType, body(''), {}, more);
          expect(seen(decode(contentType, body(`,${THOROUGH}`), {}, more))).toEqual(seen(result));
          // A body that is large is gone through before it is parsed.
          if (chance === 0) {
            expect(seen(decode(contentType, body('') + ' '.repeat(600_000), {}, more))).toEqual(seen(result));
          }
          outcomes.set(result.outcome, (outcomes.get(result.outcome) ?? 0) + 1);
        },
      ),
      { numRuns: 1_000 },
    );
    expect([...outcomes.keys()].toSorted()).toEqual(['decoded', 'event-too-large', 'invalid-event']);
    expect(outcomes.get('decoded')).toBeGreaterThan(100);
  });

  test.each(['{"a":', '['])('an ignored attribute as deep as the body allows, of %s, exhausts nothing', (level) => {
    const close = level === '[' ? ']' : '}';
    const deep = (depth: number) => `${level.repeat(depth)}1${close.repeat(depth)}`;
    for (const name of ['topic', 'sequence', 'recordedtime', 'subject', 'ext', 'data']) {
      const body = `[{"type":"a"},{"type":"a","${name}":${deep(60_000)}}]`;
      expect(errorsOf(decode(SHORT, body))).toEqual(['[1] must not be nested more than 128 levels deep']);
    }
    const where = level === '[' ? '[0]' : 'a';
    expect(errorsOf(decode(SHORT, deep(60_000)))).toEqual([`${where} must not be nested more than 128 levels deep`]);
    const one = `{"type":"a", "data": {"b":1,"c":2}, "ext":${deep(60_000)}}`;
    expect(errorsOf(decode(SHORT, one))).toEqual(['ext must not be nested more than 128 levels deep']);
    expect(decode(SHORT, `[{"type":"a","topic":${deep(120)}}]`).outcome).toBe('decoded');
  });

  test('an event with any number of bad names is refused, not a fault of the hub', () => {
    const names = Array.from({ length: 150_000 }, (_, index) => `"A${index}":0`);
    expect(decode(STRUCTURED, `{${names.join(',')}}`).outcome).toBe('invalid-event');
  });

  test('too deep comes before all else that is wrong', () => {
    const deep = `${'['.repeat(131)}${']'.repeat(131)}`;
    const tooDeep = ['[1] must not be nested more than 128 levels deep'];
    expect(errorsOf(decode(BATCH, `[{"type":5},{"data":${deep}}]`))).toEqual(tooDeep);
    expect(errorsOf(decode(STRUCTURED, `[{"type":5},{"data":${deep}}]`))).toEqual(tooDeep);
    expect(errorsOf(decode(SHORT, `[{"type":5},{"data":${deep}]`))).toEqual(tooDeep);
  });

  test('events go on after one that is not usual, wherever white space begins', () => {
    const usual = (id: string) =>
      `{"specversion":"1.0","id":"${id}","source":"/s","type":"a","time":"2026-01-01T12:00:00Z"}`;
    const odd = usual('odd').replace('"a"', '"\\u0061"');
    for (const between of [',', ' ,', ', ', '\n,\n']) {
      for (const texts of [
        [usual('1'), usual('2'), odd, usual('3'), odd, usual('4')],
        [odd, usual('1')],
        [usual('1'), odd],
        [usual('1'), usual('2')],
      ]) {
        for (const [before, behind] of [
          ['', ''],
          [' ', ' '],
          ['[', ''],
        ]) {
          const body =
            before === '[' ? `[ ${texts.join(between)}]` : `${before}[${texts.join(between)}${behind}]${behind}`;
          expect(decodedTexts(decode(BATCH, body))).toEqual(texts.map((text) => text.replace('\\u0061', 'a')));
        }
      }
    }
  });
});

test('a time is one exactly where it can be parsed', () => {
  const digits = (max: number) => fc.nat({ max }).map((number) => String(number).padStart(2, '0'));
  const time = fc
    .tuple(
      fc.nat({ max: 9_999 }),
      digits(13),
      digits(32),
      digits(25),
      digits(61),
      digits(61),
      fc.constantFrom('Z', '.5Z', 'z', '+01:00', ''),
    )
    .map(
      ([year, month, day, hour, minute, second, end]) =>
        `${String(year).padStart(4, '0')}-${month}-${day}T${hour}:${minute}:${second}${end}`,
    );
  fc.assert(
    fc.property(time, (text) => {
      expect(isTime(text)).toBe(parseTime(text) !== null);
    }),
    { numRuns: 3_000 },
  );
  for (let day = 0; day < 40_000; day++) {
    const text = `${formatTime(day * 86_400_000).slice(0, 8)}${String(day % 33).padStart(2, '0')}T00:00:00Z`;
    expect(isTime(text), text).toBe(parseTime(text) !== null);
  }
});
