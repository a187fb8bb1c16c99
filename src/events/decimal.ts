const JSON_NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
const ZERO = 48;

/**
 * A number of JSON (RFC 8259, section 6) as its digits without the zeros around them and a power of ten: the same for every
 * way to write it, `1.50` and `15E-1` alike `15e-1`. Zero is `0`.
 */
export function decimalOf(literal: string): string {
  const [, sign = '', whole = '', fraction = '', power = '0'] = JSON_NUMBER.exec(literal) ?? [];
  const digits = whole + fraction;
  let start = 0;
  while (digits.charCodeAt(start) === ZERO) start += 1;
  let end = digits.length;
  while (end > start && digits.charCodeAt(end - 1) === ZERO) end -= 1;
  if (start === end) return '0';
  return `${sign}${digits.slice(start, end)}e${Number(power) - fraction.length + digits.length - end}`;
}
