import { describe, expect, it } from 'vitest';
import { compileJsonata } from '../../src/expressions/jsonata.ts';
import { FUNCTIONS } from '../../src/expressions/jsonata-functions.ts';

/** What a function is called with, where one text is not enough. */
const CALLS: Record<string, string> = {
  sum: '$sum([1])',
  max: '$max([1])',
  min: '$min([1])',
  average: '$average([1])',
  substring: '$substring("ab", 1)',
  substringBefore: '$substringBefore("ab", "b")',
  substringAfter: '$substringAfter("ab", "a")',
  pad: '$pad("a", 2)',
  match: '1', // needs a regular expression, which are not available
  contains: '$contains("ab", "a")',
  replace: '$replace("ab", "a", "b")',
  split: '$split("a b", " ")',
  join: '$join(["a"])',
  formatNumber: '$formatNumber(1.5, "0.00")',
  formatBase: '$formatBase(255, 16)',
  formatInteger: '$formatInteger(12, "w")',
  parseInteger: '$parseInteger("twelve", "w")',
  number: '$number("1")',
  floor: '$floor(1.5)',
  ceil: '$ceil(1.5)',
  round: '$round(1.5)',
  abs: '$abs(-1)',
  sqrt: '$sqrt(4)',
  power: '$power(2, 2)',
  random: '$random() >= 0',
  map: '$map([1], $string)',
  zip: '$zip([1], [2])',
  filter: '$filter([1], $boolean)',
  single: '$single([1], $boolean)',
  reduce: '$reduce([1, 2], function($a, $b) { $a + $b })',
  sift: '$sift({"a": 1}, $boolean)',
  keys: '$keys({"a": 1})',
  lookup: '$lookup({"a": 1}, "a")',
  append: '$append([1], [2])',
  spread: '$spread({"a": 1})',
  merge: '$merge([{"a": 1}])',
  reverse: '$reverse([1])',
  each: '$each({"a": 1}, $string)',
  error: '1', // is there to fail
  assert: '$exists($assert(true, "no")) = false',
  sort: '$sort([2, 1])',
  shuffle: '$count($shuffle([1, 2]))',
  distinct: '$distinct([1, 1])',
  base64decode: '$base64decode("YQ==")',
  toMillis: '$toMillis("2026-01-01T00:00:00Z")',
  fromMillis: '$fromMillis(0)',
  clone: '$clone({"a": 1})',
  now: '$now()',
  millis: '$millis()',
};

describe('A function of JSONata', () => {
  it.each(FUNCTIONS.map((name) => [CALLS[name] ?? `$${name}("a")`]))('works where the hub runs: %s', async (text) => {
    expect(await compileJsonata(text).evaluate({})).toMatchObject({ ok: true, value: expect.anything() });
  });
});
