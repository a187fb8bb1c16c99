import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonFaultAt } from '../src/json-fault.ts';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('where a text stops being JSON', () => {
  it.each([
    ['', 0],
    ['  ', 2],
    ['{', 1],
    ['{"a":', 5],
    ['{"a":1,}', 7],
    ['{"a" 1}', 5],
    ['{"a":tru}', 5],
    ['{"a":"half', 5],
    ['{"a":"\\x"}', 5],
    ['{"secret":whsec_abc}', 10],
    ['[1,]', 3],
    ['[1}', 2],
    ['{"a":1]', 6],
    ['01', 1],
    ['1 2', 2],
    ['{"a":1}\n x', 9],
    ['{,}', 1],
    ["{'a':1}", 1],
  ])('%j at %i', (text, at) => {
    expect(jsonFaultAt(text)).toBe(at);
  });

  it('agrees with the parser on every text, and names a place before which nothing is wrong', () => {
    const json = fc
      .json()
      .chain((text) =>
        fc.tuple(
          fc.constant(text),
          fc.nat(text.length),
          fc.nat(2),
          fc.constantFrom('', '"', ',', ':', '}', ']', '{', 'x', '0', '\\'),
        ),
      );
    fc.assert(
      fc.property(json, ([text, at, dropped, put]) => {
        const changed = text.slice(0, at) + put + text.slice(at + dropped);
        const fault = jsonFaultAt(changed);
        expect(fault === null).toBe(isJson(changed));
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(jsonFaultAt(text) === null).toBe(isJson(text));
      }),
    );
  });

  it('takes a long string', () => {
    expect(jsonFaultAt(`{"a":"${'x'.repeat(1024 * 1024)}"`)).toBe(1024 * 1024 + 7);
    expect(jsonFaultAt('['.repeat(500_000))).toBe(500_000);
  });
});
