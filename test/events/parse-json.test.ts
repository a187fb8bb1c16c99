import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSameContent } from '../../src/events/content.ts';
import { hasEscapedName, parseCompact, parseEscaped } from '../../src/events/parse-json.ts';
import { parseStored } from '../../src/events/stored.ts';
import { decode, decodedAll, SHORT } from './decoding.ts';

/** With every character of its strings escaped, which says the same. */
function escaped(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*"/g, (literal) => {
    const text: string = JSON.parse(literal);
    const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at).toString(16).padStart(4, '0'));
    return `"${units.map((unit) => `\\u${unit}`).join('')}"`;
  });
}

const sent = (data: string) =>
  decodedAll(decode(SHORT, `{"type":"a","source":"s","id":"i","data":${data}}`))[0] ?? { json: '', timeSent: false };
const isSame = (one: string, other: string) => isSameContent(sent(one), sent(other));

describe('names that are written with escapes', () => {
  test('P3 P4: are read as they are, whatever the engine has seen in their place', () => {
    // From now on V8 takes any name of one character in this place for the backslash, if it is written with an escape.
    JSON.parse('{"seen":1,"\\\\":2}');
    expect(parseCompact('{"seen":1,"\\u00e9":2}')).toEqual({ seen: 1, é: 2 });
    expect(parseStored('{"data":{"seen":1,"\\n":2}}')).toEqual({ data: { seen: 1, '\n': 2 } });
    expect(isSame('{"seen":1,"\\u00e9":2}', '{"seen":1,"é":2}')).toBe(true);
    expect(isSame('{"seen":1,"\\u00e9":2}', '{"seen":1,"\\u00e8":2}')).toBe(false);
    expect(isSame('{ "seen": 1, "\\u00e9": 2 }', '{"é":2,"seen":1}')).toBe(true);
    expect(decode(SHORT, '{"type":"a","data":{"seen":1,"\\u00e9":2,"\\\\":3}}').outcome).toBe('decoded');
  });

  test.each([
    ['{"a":"\\n"}', false],
    ['["\\\\","a"]', false],
    ['{"a\\n":1}', true],
    ['{"a":["\\"",{"b":"c","\\u0064":1}]}', true],
    ['{"a":"x\\":","b":1}', false],
    ['"\\n"', false],
    ['{}', false],
  ])('are found: %s', (json, found) => {
    expect(hasEscapedName(json)).toBe(found);
  });
});

describe('a value', () => {
  test('is the one that the engine reads', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const json = JSON.stringify(value);
        expect(parseEscaped(json)).toEqual(JSON.parse(json));
        expect(parseEscaped(escaped(json))).toEqual(JSON.parse(json));
        expect(JSON.stringify(parseCompact(escaped(json)))).toBe(JSON.stringify(JSON.parse(json)));
      }),
    );
  });

  test.each(['{"__proto__":{"a":1}}', '{"a":1,"a":2}', '[]', '[[],{}]', '{"2":1,"1":2}', '-0', '"\\ud83d"', 'null'])(
    'is the one that the engine reads: %s',
    (json) => {
      const value = parseEscaped(json);
      expect(JSON.stringify(value)).toBe(JSON.stringify(JSON.parse(json)));
      expect(Object.is(value, -0)).toBe(json === '-0');
    },
  );

  test('of a megabyte of escapes takes no time to speak of', () => {
    const json = `{"a":"${'\\n'.repeat(500_000)}","b":["${'\\"'.repeat(100_000)}"]}`;
    expect(hasEscapedName(json)).toBe(false);
    expect(hasEscapedName(`{"x":${json},"\\n":1}`)).toBe(true);
  });
});
