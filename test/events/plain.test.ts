import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonData } from '../../src/events/data.ts';
import { decimalOf } from '../../src/events/decimal.ts';
import { decodePlain } from '../../src/events/decode-plain.ts';
import { compact } from '../../src/events/json-text.ts';
import { NOT_PLAIN, plainEnd } from '../../src/events/plain-json.ts';
import { Reading } from '../../src/events/reading.ts';
import { NOW, utf8 } from './decoding.ts';

/** A plain value is JSON of which nothing is lost by keeping its text, and what machines mostly write is plain. */

const ALPHABET = [...'{}[],:"\\ 0019.-+eE', 'true', 'false', 'null', '"a"', '"a":', '\u0001', '\u007f', 'é', '\n'];
const scribble = fc.array(fc.constantFrom(...ALPHABET), { maxLength: 12 }).map((parts) => parts.join(''));
/** JSON with a scribble written over some of it. */
const spoilt = fc.tuple(fc.json(), scribble, fc.nat(), fc.nat({ max: 6 })).map(([json, text, place, length]) => {
  const at = place % (json.length + 1);
  return json.slice(0, at) + text + json.slice(at + length);
});

test('a value that is plain is what JSON.parse reads to the end, compact, with each name once and every digit kept', () => {
  let plain = 0;
  fc.assert(
    fc.property(fc.oneof(scribble, spoilt, fc.json()), (text) => {
      const bytes = utf8(text);
      const end = plainEnd(bytes, 0);
      if (end === NOT_PLAIN) return;
      plain++;
      const found = new TextDecoder().decode(bytes.subarray(0, end));
      expect(found).toMatch(/^[ -~]*$/);
      const value: unknown = JSON.parse(found);
      expect(jsonData(found, value)).toEqual({ ok: true, data: { kind: 'json', text: found } });
      expect(compact(found, 32)).toEqual({ outcome: 'compact', text: found });
      for (const [number] of found.replaceAll(/"[^"]*"/g, '""').matchAll(/-?\d[\d.]*/g)) {
        expect(decimalOf(String(Number(number)))).toBe(decimalOf(number));
      }
    }),
    { numRuns: 20_000 },
  );
  expect(plain).toBeGreaterThan(1_000);
});

const key = fc.stringMatching(/^[ !#-[\]-~]{0,8}$/);
const { value: written } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    key,
    fc.integer(),
    fc.integer().map((number) => number / 100),
    fc.constantFrom(true, false, null),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 8 }),
  ),
}));

test('what machines mostly write is plain, and ends where it ends', () => {
  fc.assert(
    fc.property(written, fc.constantFrom('', ',', ']', '}', ' '), (value, behind) => {
      const json = JSON.stringify(value);
      expect(plainEnd(utf8(`x${json}${behind}`), 1)).toBe(1 + json.length);
    }),
  );
});

test.each([
  ...['', '-', '01', '1.', '.5', '1e2', '-01', '1234567890123456', '0.00000000000001'],
  ...['tru', 'nul', 'True', '[1,]', '[,1]', '[1 ]', '[', '{', '{"a"}', '{"a":}', '{"a":1,}', '{a:1}', '{"a":1,"a":2}'],
  ...['"', '"a', '"\\n"', '"\u007f"', '"é"', '"\t"', `${'['.repeat(33)}${']'.repeat(33)}`],
  `{${Array.from({ length: 33 }, (_, index) => `"n${index}":1`).join(',')}}`,
])('not plain: %s', (text) => {
  expect(plainEnd(utf8(text), 0)).not.toBe(text.length);
});

describe('a request', () => {
  const one = '{"specversion":"1.0","id":"1","source":"/s","type":"a"}';
  const isPlain = (body: string, form: 'structured' | 'batch' | 'short') => {
    const input = { contentType: null, headers: [], body: utf8(body), topic: 't', now: NOW, makeId: String };
    return decodePlain(new Reading(input), body, form);
  };

  test('is plain in the form that is asked for, with members in any order', () => {
    expect(isPlain(one, 'structured')).toBe(true);
    expect(isPlain(`[${one},{"type":"b","specversion":"1.0","data":{"a":[1]}},${one}]`, 'batch')).toBe(true);
    expect([isPlain('{"type":"a"}', 'short'), isPlain('[{"type":"a","topic":"x"}]', 'short')]).toEqual([true, true]);
  });

  test.each<[string, 'structured' | 'batch' | 'short']>([
    [one, 'batch'],
    [`[${one}]`, 'structured'],
    ['[]', 'batch'],
    [`[${one},]`, 'batch'],
    [`[${one}`, 'batch'],
    [`[${one}] `, 'batch'],
    [`${one},${one}`, 'structured'],
    [`[${one},${one.replace('"id":"1"', '"id":"1","id":"1"')}]`, 'batch'],
    [`[${one},${one.replace('"id"', '"type"')}]`, 'batch'],
    [one.replace('"1.0"', 'null'), 'structured'],
    [one.replace('"a"', '5'), 'structured'],
    [one.replace('"id"', '"Id"'), 'structured'],
    [one.replace('"id"', '"12"'), 'structured'],
    [one.replace('"id"', '"data_base64"'), 'structured'],
    [one.replace('/s', 'é'), 'structured'],
    [one.replace('{', `{${Array.from({ length: 80_000 }, (_, index) => `"x${index}":"",`).join('')}`), 'structured'],
    [`[${Array.from({ length: 1_001 }, () => one).join(',')}]`, 'batch'],
  ])('is left to others: %.60s', (body, form) => {
    expect(isPlain(body, form)).toBe(false);
  });
});
