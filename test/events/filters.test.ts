import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileMatch, headOf, isTypePattern, typeMatches } from '../../src/events/filters.ts';
import { compileGlob, globMatches } from '../../src/events/globs.ts';

describe('globs', () => {
  test.each([
    ['order.*', 'order.created', true],
    ['order.*', 'order.', true],
    ['order.*', 'order', false],
    ['*', '', true],
    ['*.created', 'a.b.created', true],
    ['a*a', 'a', false],
    ['a*b*c', 'a-b-b-c', true],
    ['a*bc*c', 'abc', false],
    ['**', 'x', true],
    ['a.c', 'abc', false],
    ['', 'a', false],
    ['*b*', 'aab', true],
    ['*ab*b', 'ab', false],
  ])('%j matches %j: %s', (glob, text, expected) => {
    expect(globMatches(glob, text)).toBe(expected);
  });

  test('a glob is what the regular expression in its place would be', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 12 });
    const glob = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 8 });
    fc.assert(
      fc.property(glob, text, (pattern, candidate) => {
        const reference = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
        expect(compileGlob(pattern)(candidate)).toBe(reference.test(candidate));
      }),
      { numRuns: 5_000 },
    );
  });

  test('no pattern takes long', () => {
    const matches = compileGlob(`${'*a'.repeat(120)}*b`);
    const started = performance.now();
    expect(matches('a'.repeat(100_000))).toBe(false);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('type filters', () => {
  test('an empty list matches every type, any one of several is enough', () => {
    expect(typeMatches([], 'anything')).toBe(true);
    expect(typeMatches(['order.*', 'invoice.*'], 'invoice.paid')).toBe(true);
    expect(typeMatches(['order.*', 'invoice.*'], 'user.made')).toBe(false);
  });

  test('patterns are short and printable', () => {
    expect(isTypePattern('order.*')).toBe(true);
    expect(isTypePattern('')).toBe(false);
    expect(isTypePattern('a\nb')).toBe(false);
    expect(isTypePattern('a'.repeat(257))).toBe(false);
  });
});

describe('matching stored events', () => {
  const none = { types: [], exactTypes: [], sources: [], subjects: [] };
  const json =
    '{"specversion":"1.0","id":"1","source":"/s\\"x","type":"order.created","subject":"o-1","time":"2026-01-01T00:00:00Z","data":{"type":"x"}}';

  test('asking for nothing is null, so that nobody parses for it', () => {
    expect(compileMatch(none)).toBeNull();
  });

  test.each([
    [{ types: ['order.*'] }, true],
    [{ types: ['x'] }, false],
    [{ exactTypes: ['order.*'] }, false],
    [{ exactTypes: ['a', 'order.created'] }, true],
    [{ sources: ['/s"x'] }, true],
    [{ sources: ['/s'] }, false],
    [{ subjects: ['o-1'] }, true],
    [{ subjects: ['o-2'] }, false],
    [{ types: ['*'], sources: ['/s"x'], subjects: ['o-2'] }, false],
  ])('%j: %s', (asked, expected) => {
    expect(compileMatch({ ...none, ...asked })?.(json)).toBe(expected);
  });

  test('an event without a subject matches no subject, whatever its data says', () => {
    const without =
      '{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"x","data":{"subject":"o-1"},"subject":"o-1"}';
    expect(headOf(without)).toEqual({ source: '/s', type: 't', subject: null });
    expect(compileMatch({ ...none, subjects: ['o-1'] })?.(without)).toBe(false);
  });
});
