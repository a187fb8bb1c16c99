import { describe, expect, it } from 'vitest';
import type { StoredEvent } from '../../src/events/stored.ts';
import { compileCel } from '../../src/expressions/cel.ts';
import { Mistake } from '../../src/expressions/mistake.ts';

const EVENT: StoredEvent = {
  specversion: '1.0',
  id: 'o-1',
  source: '/shop',
  type: 'order.created',
  subject: 'order/17',
  time: '2026-11-23T12:00:00Z',
  topic: 'orders',
  sequence: '0000000000000042',
  recordedtime: '2026-11-23T12:00:01.000Z',
  tenant: 'acme',
  priority: 3,
  express: true,
  data: {
    amount: 120,
    currency: 'EUR',
    note: null,
    customer: { name: 'Ada', constructor: 'x' },
    lines: [
      { sku: 'a', count: 2 },
      { sku: 'b', count: 1 },
    ],
  },
};

const verdict = (text: string, event: StoredEvent = EVENT) => compileCel(text).test(event).verdict;

/** What is refused, or what the filter says of the event. */
function mistakeIn(text: string): string | null {
  try {
    compileCel(text);
    return null;
  } catch (error) {
    if (error instanceof Mistake) return error.message;
    throw error;
  }
}

describe('A CEL filter', () => {
  it.each([
    'type == "order.created"',
    'source == "/shop" && subject.startsWith("order/")',
    'data.amount > 100',
    'data.amount == 120 && data.currency in ["EUR", "CHF"]',
    'int(data.amount) % 2 == 0',
    'data.lines.exists(line, line.count > 1)',
    'data.lines.all(line, line.count > 0) && data.lines.size() == 2',
    'data.lines.filter(line, line.sku == "a").map(line, line.count) == [2]',
    'tenant == "acme" && priority == 3 && express',
    'event.tenant == "acme" && event.data.amount > 1',
    'has(event.tenant) && !has(event.nothing) && has(data.customer.name)',
    'sequence == 42 && sequence + 1 == 43',
    'topic == "orders"',
    'timestamp(time) < timestamp("2027-01-01T00:00:00Z")',
    'type.matches("^order\\\\.(created|paid)$")',
    'data.note == null && has(data.note) && "note" in data && has(event.data.note)',
    '!has(data.nothing) && !("nothing" in data)',
    'data.customer.constructor == "x"',
    'type(data.amount) == double && type(data.lines) == list',
    'data.nothing == 1 || data.amount > 1',
    'data.amount > 1 ? data.currency == "EUR" : data.nothing',
    '// a comment\ntrue',
  ])('matches by %s', (text) => {
    expect(verdict(text)).toEqual({ kind: 'match' });
  });

  it.each([
    'type == "order.paid"',
    'data.amount > 1000',
    'data.nothing == 1',
    'data.nothing.at.all > 1',
    'data.note.text == "x"',
    'data.currency.name == "x"',
    'data.lines[7].sku == "a"',
    'data.lines.exists(line, line.price > 1)',
    'data.nothing > 1 && data.amount > 1',
    '!data.nothing',
    'nosuchextension == "x"',
    'event.nothing == "x"',
    'dataschema == "x"',
    'data.toString == 1',
    'data.__proto__ == 1',
  ])('does not match where a field is missing or says otherwise: %s', (text) => {
    expect(verdict(text)).toEqual({ kind: 'no-match' });
  });

  it.each([
    ['data.currency > 1', "found no matching overload for '>' applied to '(string, int)' at line 1, column 15"],
    ['sequence / 0 == 1', 'int divide by zero at line 1, column 9'],
    ['true &&\n  data.currency + 1 == 2', 'at line 2, column 17'],
    ['data.nothing == 1 || data.currency > 1', "'>'"],
    ['data.currency', 'it is neither true nor false'],
    ['data.lines.all(line, line.sku > 1)', "'>'"],
    ['int(data.currency) == 1', 'Cannot convert EUR to a BigInt'],
  ])('fails on the event, and says why and where: %s', (text, error) => {
    expect(verdict(text)).toEqual({ kind: 'invalid', error: expect.stringContaining(error) });
  });

  it('sees no data where there is none, or where it is bytes', () => {
    const { data: _, ...without } = EVENT;
    expect(verdict('data.amount > 100', without)).toEqual({ kind: 'no-match' });
    const bytes = { ...without, data_base64: 'AAEC' };
    expect(verdict('data_base64 == "AAEC" && !has(event.data)', bytes)).toEqual({ kind: 'match' });
  });

  it.each([
    ['', 'is empty'],
    ['data.amount >', 'unexpected > at line 1, column 13'],
    ['type == "order', 'has a string without an end, begun at line 1, column 9'],
    ["subject == 'it\\'s' && // \"odd\"\n  type == 'order", 'has a string without an end, begun at line 2, column 11'],
    ['type.matches(r"\\") && tenant == "\\"" &', 'unexpected & at line 1, column 38'],
    ['data.amount > 1 &&\n data.foo(', 'at line 2, column 6'],
    ['data.amount >> 1', 'at line 1, column 13'],
    ['"abc', 'at line 1, column 1'],
    ['foo(1)', 'unknown function foo at line 1, column 1'],
    ['data.amount.foo()', 'unknown function foo at line 1, column 12'],
    ['data.amount > 1 && Type == "x"', 'unknown name Type at line 1, column 20'],
    ['user_id == "x"', 'unknown name user_id at line 1, column 1'],
    ['dta.amount > 1', 'unknown name dta (an extension attribute has no fields) at line 1, column 1'],
    ['type.name == "x"', 'at line 1, column 5'],
    ['subject > 5', "> can't be called with (string, int) at line 1, column 8"],
    ['type', 'is string'],
    ['1 + 2', 'is int'],
    ['size(data.lines)', 'is int'],
    ['type && true', 'is string, not bool, at line 1, column 1'],
    ['type.matches(data.pattern)', 'needs its pattern as a literal'],
    ['type.matches("(")', 'is no regular expression'],
    ['google.protobuf.Struct{} == data', 'makes a message'],
    ['3.all(x, x)', 'has no elements'],
  ])('is refused before it is used, with the place: %j', (text, mistake) => {
    expect(mistakeIn(text)).toContain(mistake);
  });
});

const LONG = {
  ...EVENT,
  data: {
    text: 'a'.repeat(200_000),
    digits: '9'.repeat(500_000),
    many: Array.from({ length: 20_000 }, (_, index) => index),
    objects: Array.from({ length: 5_000 }, (_, index) => ({ index, in: { depth: [index] } })),
  },
};
const ones = `[${Array(60).fill(1).join()}]`;
/** Long enough for a busy machine, and far too short for any of these if they were let run. */
const BOUND_MS = 2_000;

describe('A hostile CEL filter ends as invalid, or is refused, in bounded time (P6)', () => {
  it.each([
    ['catastrophic backtracking', 'data.text.matches("(a+)+b$")'],
    ['a pattern with many states', 'data.text.matches("(a?){30}a{30}b")'],
    ['nested repetition', 'type.matches("((a{100}){100}){100}")'],
    ['a pattern that is too large', `type.matches("${'(ab|cd|ef){90}'.repeat(5)}")`],
    ['a pattern of the event', 'data.text.matches(data.text)'],
    ['two loops over a long list', 'data.many.all(x, data.many.exists(y, y == x))'],
    ['four loops over literals', `${ones}.all(a, ${ones}.all(b, ${ones}.all(c, ${ones}.all(d, a + b + c + d > 0))))`],
    [
      'a loop whose errors are swallowed',
      'data.many.exists(x, data.many.all(y, y / 0 == x) || data.many.all(z, z > x))',
    ],
    ['a string that doubles', `["x"]${'.map(s, s + s)'.repeat(40)}[0].size() > 1`],
    ['a list that doubles', `[[1, 1]]${'.map(s, s + s)'.repeat(40)}[0].size() > 1`],
    ['bytes that double', `[b"x"]${'.map(s, s + s)'.repeat(40)}[0].size() > 1`],
    ['a list that grows one by one', 'data.many.map(x, [x]).size() > 0'],
    ['long data compared again and again', `${Array(40).fill('data == data').join(' && ')}`],
    ['long data compared in a loop', 'data.objects.exists(x, data.objects == data.objects && x == 1)'],
    ['long data looked for in a loop', 'data.objects.exists(x, [data] in [[data, x]])'],
    ['long text searched in a loop', 'data.many.exists(x, data.text.contains("b"))'],
    ['long text counted in a loop', 'data.objects.exists(x, size(data.text) == 0)'],
    ['a number of many digits', 'int(data.digits) > 1'],
    ['parentheses', `${'('.repeat(900)}true${')'.repeat(900)}`],
    ['lists in lists', `${'['.repeat(900)}${']'.repeat(900)} == []`],
    ['calls in calls', `${'int('.repeat(400)}1${')'.repeat(400)} == 1`],
    ['conditions in conditions', `${'true?('.repeat(200)}true${'):false'.repeat(200)}`],
    ['macros in macros', `${'[1].all(x,'.repeat(150)}true${')'.repeat(150)}`],
    ['a long sum', `1${' + 1'.repeat(500)} > 0`],
    ['a long alternative', `true${' || true'.repeat(250)}`],
    ['a long text', `"${'x'.repeat(5_000)}" == type`],
    ['a long list', `[${Array(900).fill('1').join()}].size() > 0`],
  ])('%s', (_, text) => {
    const start = performance.now();
    const refused = mistakeIn(text);
    if (refused === null) {
      expect(compileCel(text).test(LONG).verdict.kind).toBe('invalid');
    }
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });

  it('leaves what comes after it unharmed', () => {
    compileCel('data.many.all(x, data.many.exists(y, y == x))').test(LONG);
    expect(verdict('data.amount > 100')).toEqual({ kind: 'match' });
  });
});
