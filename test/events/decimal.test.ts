import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decimalOf } from '../../src/events/decimal.ts';

const double = fc.double({ noNaN: true, noDefaultInfinity: true });

describe('a decimal', () => {
  test.each([
    ['0', '0'],
    ['-0.00e5', '0'],
    ['120', '12e1'],
    ['-1.50', '-15e-1'],
    ['0.0010', '1e-3'],
    ['1E+2', '1e2'],
    ['10.01e-3', '1001e-5'],
  ])('of %s is %s', (literal, decimal) => {
    expect(decimalOf(literal)).toBe(decimal);
  });

  test('is the same for all that a double is written as, and is that double', () => {
    fc.assert(
      fc.property(double, (value) => {
        const literal = String(value);
        expect(decimalOf(value.toExponential())).toBe(decimalOf(literal));
        expect(Number(decimalOf(literal)) === value).toBe(true);
      }),
    );
  });

  test('of a whole number is that of no other', () => {
    fc.assert(
      fc.property(fc.bigInt(), fc.bigInt(), (a, b) => {
        expect(decimalOf(String(a)) === decimalOf(String(b))).toBe(a === b);
      }),
    );
  });

  test('of a number with a million zeros in it takes no time to speak of', () => {
    const zeros = '0'.repeat(1_000_000);
    expect(decimalOf(`1.${zeros}1`)).toHaveLength(1_000_002 + 'e-1000001'.length);
    expect(decimalOf(`0.${zeros}1`)).toBe('1e-1000001');
    expect(decimalOf(`1.${zeros}`)).toBe('1e0');
  });
});
