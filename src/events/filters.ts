import type { EventMatch } from '../topics/protocol.ts';
import { globMatches } from './globs.ts';
import { members, readString } from './json-text.ts';
import { TYPE_PATTERN_CHARACTERS_MAX } from './limits.ts';
import { hasForbiddenCharacter } from './text.ts';

export const TYPE_PATTERN_RULE = `must be 1 to ${TYPE_PATTERN_CHARACTERS_MAX} characters of an event type, in which "*" stands for any run of characters`;

/** A pattern in `filter.types`: `*` is any run of characters, dots too. */
export function isTypePattern(text: string): boolean {
  return text.length > 0 && text.length <= TYPE_PATTERN_CHARACTERS_MAX && !hasForbiddenCharacter(text);
}

/** Whether one of the patterns matches the type; an empty list matches every type. */
export function typeMatches(patterns: readonly string[], type: string): boolean {
  return patterns.length === 0 || patterns.some((pattern) => globMatches(pattern, type));
}

/**
 * A test over stored events in JSON, for what `match` asks; null if it asks for nothing, so that nobody parses for it.
 * Each list that isn't empty has to hold one entry that fits.
 */
export function compileMatch(match: EventMatch): ((json: string) => boolean) | null {
  const { types, exactTypes, sources, subjects } = match;
  if (types.length + exactTypes.length + sources.length + subjects.length === 0) return null;
  const typeSet = new Set(exactTypes);
  const sourceSet = new Set(sources);
  const subjectSet = new Set(subjects);
  return (json) => {
    const head = headOf(json);
    return (
      typeMatches(types, head.type) &&
      (typeSet.size === 0 || typeSet.has(head.type)) &&
      (sourceSet.size === 0 || sourceSet.has(head.source)) &&
      (subjectSet.size === 0 || (head.subject !== null && subjectSet.has(head.subject)))
    );
  };
}

/** What filters look at. */
export interface EventHead {
  source: string;
  type: string;
  subject: string | null;
}

/** Reads the head of a stored event (or of a `NewEvent`) without parsing its data: the hub writes `time` after these. */
export function headOf(json: string): EventHead {
  const head: EventHead = { source: '', type: '', subject: null };
  for (const { name, text } of members(json)) {
    if (name === 'source') head.source = readString(text);
    else if (name === 'type') head.type = readString(text);
    else if (name === 'subject') head.subject = readString(text);
    else if (name === 'time') break;
  }
  return head;
}
