/** @throws TypeError unless it is a whole number, at least 1 */
export function atLeastOne(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new TypeError(`${name} must be a whole number, at least 1; it is ${value}.`);
}
