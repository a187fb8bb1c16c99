import { numberIn } from './fields.ts';

const sequence = (digits: RegExp) =>
  numberIn(digits, 'must be a sequence number', { minimum: 1 }).meta({ examples: [42] });

/** A sequence number in a query: digits, from 1; zero-padded too, as an event's `sequence` attribute is. */
export const sequenceField = sequence(/^0{0,15}[1-9]\d{0,14}$/);

/** The same in a path, where one that no event has is something that is not there. */
export const sequenceInPath = sequence(/^\d{1,20}$/);
