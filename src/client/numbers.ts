/** @throws TypeError unless it is a whole number, at least 1 */
export function atLeastOne(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new TypeError(`${name} must be a whole number, at least 1; it is ${value}.`);
}

/** @throws TypeError unless it is a number, at least 0 */
export function zeroOrMore(name: string, value: number): number {
  if (value >= 0) return value;
  throw new TypeError(`${name} must be 0 or more; it is ${value}.`);
}
