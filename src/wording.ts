import type { z } from 'zod';

/** Types as they are called in a sentence that says what a value must be. */
const TYPES: Record<string, string> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  record: 'an object',
  null: 'null',
};

/** What is wrong with a value, where its schema has no words of its own for it. */
export function wording(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${TYPES[String(issue.expected)] ?? 'something else'}`;
    case 'invalid_value':
      return issue.input === undefined ? 'is required' : mustBe(issue.values.map((value) => JSON.stringify(value)));
    case 'too_small':
      if (isCounted(issue.origin) && issue.minimum === 1) return 'must not be empty';
      return `must ${isCounted(issue.origin) ? 'have' : 'be'} at least ${issue.minimum}${unitOf(issue.origin)}`;
    case 'too_big':
      return `must ${isCounted(issue.origin) ? 'have' : 'be'} at most ${issue.maximum}${unitOf(issue.origin)}`;
    case 'invalid_union':
      return 'options' in issue && Array.isArray(issue.options)
        ? mustBe(issue.options.filter((option) => option !== undefined).map((option) => JSON.stringify(option)))
        : 'is not valid';
    case 'invalid_key':
      return 'has a name that is not valid';
    default:
      return issue.input === undefined ? 'is required' : 'is not valid';
  }
}

function mustBe(values: (string | undefined)[]): string {
  return values.length === 1 ? `must be ${values[0]}` : `must be one of ${values.join(', ')}`;
}

function isCounted(origin: string): boolean {
  return unitOf(origin) !== '';
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters';
  return ['array', 'set', 'map', 'object', 'record'].includes(origin) ? ' entries' : '';
}
