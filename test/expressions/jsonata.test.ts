import { describe, expect, it } from 'vitest';
import { compileJsonata } from '../../src/expressions/jsonata.ts';
import { Mistake } from '../../src/expressions/mistake.ts';

const EVENT = {
  type: 'order.created',
  subject: 'order/17',
  sequence: 42,
  data: {
    amount: 120,
    lines: [
      { sku: 'a', count: 2, price: 10 },
      { sku: 'b', count: 1, price: 100 },
    ],
  },
};

const evaluate = (text: string, input: unknown = EVENT) => compileJsonata(text).evaluate(input);

function mistakeIn(text: string): string | null {
  try {
    compileJsonata(text);
    return null;
  } catch (error) {
    if (error instanceof Mistake) return error.message;
    throw error;
  }
}

describe('A JSONata expression', () => {
  it.each<[string, unknown]>([
    ['data', EVENT.data],
    ['data.amount', 120],
    [
      '{ "id": subject, "total": $sum(data.lines.(price * count)), "skus": data.lines.sku }',
      { id: 'order/17', total: 120, skus: ['a', 'b'] },
    ],
    ['data.lines[count > 1].sku', 'a'],
    ['data.lines{sku: count}', { a: 2, b: 1 }],
    ['data.lines^(>price).sku', ['b', 'a']],
    ['$map(data.lines, function($line) { $line.count * 2 })', [4, 2]],
    ['$map(data.lines.sku, $uppercase)', ['A', 'B']],
    ['data.lines.sku ~> $reverse ~> $join("-")', 'b-a'],
    ['($first := $substring(?, 0, 1); $first(type))', 'o'],
    ['data ~> |lines|{"price": 0}|', { amount: 120, lines: EVENT.data.lines.map((line) => ({ ...line, price: 0 })) }],
    ['$reduce([1..5], function($sum, $n) { $sum + $n })', 15],
    ['$toMillis("12/31/2025", "[M01]/[D01]/[Y0001]")', Date.UTC(2025, 11, 31)],
    ['$replace(type, ".", "/")', 'order/created'],
    ['$base64encode(type)', 'b3JkZXIuY3JlYXRlZA=='],
    ['$base64decode("b3JkZXIuY3JlYXRlZA==")', 'order.created'],
    ['$base64encode(data.nothing)', undefined],
    ['$distinct(["a", "b", "a"])', ['a', 'b']],
    ['data.nothing', undefined],
    ['data.nothing ? 1 : 2', 2],
  ])('evaluates %s', async (text, value) => {
    const result = await evaluate(text);
    expect(result.ok).toBe(true);
    expect(result.ok && JSON.stringify(result.value)).toBe(JSON.stringify(value));
  });

  it.each([
    ['type + 1', 'The left side of the "+" operator must evaluate to a number at line 1, column 6'],
    ['$number(type)', 'Unable to cast value to a number: "order.created"'],
    [
      '$base64encode("€")',
      '$base64encode takes characters up to U+00FF only; $encodeUrlComponent makes such of any text',
    ],
    ['$base64decode("=")', '$base64decode was given what is no base64'],
    ['$error("no such order")', 'no such order'],
    ['function($x) { $x }', 'The result has a function in it.'],
    ['{ "f": $sum }', 'The result has a function in it.'],
    ['1 / 0', 'The result has a number that is none.'],
  ])('fails, and says why: %s', async (text, error) => {
    expect(await evaluate(text)).toEqual({ ok: false, error: expect.stringContaining(error) });
  });

  it.each([
    [' ', 'is empty'],
    ['data.amount +', 'Unexpected end of expression at line 1, column 14'],
    ['{ "a": 1,\n  "b" 2 }', 'at line 2, column 7'],
    ['data.(amount', 'at line 1, column 13'],
    ['$nope(1)', 'unknown function or variable $nope at line 1, column 1'],
    ['data.amount & $currency', 'unknown function or variable $currency at line 1, column 15'],
    ['$eval("1")', 'unknown function or variable $eval'],
    ['$replace(type, /o+/, "")', 'regular expressions are not available in a transform at line 1, column'],
  ])('is refused before it is used, with the place: %j', (text, mistake) => {
    expect(mistakeIn(text)).toContain(mistake);
  });

  it('keeps the counts of evaluations that go on at the same time apart', async () => {
    const kept = compileJsonata('$map(lines, function($line) { $line * 2 })');
    const lines = Array.from({ length: 4_000 }, (_, index) => index);
    const results = await Promise.all(Array.from({ length: 12 }, () => kept.evaluate({ lines })));
    expect(results.every(({ ok }) => ok)).toBe(true);
  });
});

const LONG = {
  data: {
    text: 'a'.repeat(500_000),
    many: Array.from({ length: 60_000 }, (_, index) => index),
    same: Array.from({ length: 60_000 }, (_, index) => ({ key: 'k', value: index })),
  },
};
/** Long enough for a busy machine, and far too short for any of these if they were let run. */
const BOUND_MS = 4_000;

describe('A hostile JSONata expression fails, or is refused, in bounded time (P6)', () => {
  it.each([
    ['recursion without an end, in a tail', '($f := function($x) { $f($x + 1) }; $f(1))'],
    ['recursion without an end', '($f := function($x) { 1 + $f($x + 1) }; $f(1))'],
    ['recursion that branches', '($f := function($x) { [$f($x), $f($x)] }; $f(1))'],
    ['a long range', '[1..10000000]'],
    ['ranges in ranges', '[1..100000].[1..100000]'],
    ['loops in loops', '$map([1..100000], function($i) { $map([1..100000], function($j) { $i * $j }) })'],
    ['a text that doubles', '$reduce([1..60], function($a) { $a & $a }, "x")'],
    ['a list that doubles', '$reduce([1..60], function($a) { $append($a, $a) }, [1])'],
    ['a tree that doubles', '$reduce([1..60], function($a) { { "l": $a, "r": $a } }, 1)'],
    ['padding', '$pad("x", 1000000000)'],
    ['replacing by a long text', '$replace(data.text, "a", data.text)'],
    ['joining long texts', '$join($map([1..100000], function($i) { data.text }))'],
    ['splitting again and again', '$map([1..10000], function($i) { $count($split(data.text, "")) })'],
    ['writing everything again and again', '$map([1..50000], function($i) { $string($$) })'],
    ['comparing everything again and again', '$map([1..50000], function($i) { data = data })'],
    ['copying everything again and again', '$map([1..50000], function($i) { $clone($$) })'],
    ['looking through a list for each of it', '$map(data.many, function($i) { $i in data.many })'],
    ['what is distinct of a long list', '$distinct(data.many)'],
    ['the same by another name', '($d := $distinct; [data.many] ~> $map(function($l) { $d($l) }))'],
    ['appending one by one', '$reduce(data.many, $append)'],
    ['a group of all', 'data.same{key: $count(value)}'],
    ['objects of a list', '([data.same]).{key: value}'],
    ['sorting', '$sort(data.many, function($l, $r) { $l < $r })'],
    ['sorting by the order operator', 'data.many^(>$)'],
    ['a picture of many parts', `$toMillis("${'9'.repeat(60)}x", "${'[Y]'.repeat(30)}")`],
    ['every descendant of every descendant', '**.**.**.**'],
    ['a join of a list with itself', 'data.many@$a.$$.data.many@$b.($a + $b)'],
    ['regular expressions', '$match(data.text, /(a+)+b/)'],
    ['an expression that is made', '$eval("1")'],
    ['parentheses', `${'('.repeat(3_000)}1${')'.repeat(3_000)}`],
    ['a long sum', `1${' + 1'.repeat(2_000)}`],
    ['alternatives of alternatives', `a${' ?: a'.repeat(800)}`],
    ['a long text', `"${'x'.repeat(10_000)}"`],
    ['an object in an object', `${'{"a":'.repeat(900)}1${'}'.repeat(900)}`],
  ])('%s', async (_, text) => {
    const start = performance.now();
    if (mistakeIn(text) === null) expect((await evaluate(text, LONG)).ok).toBe(false);
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });
});
