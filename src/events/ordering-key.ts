import { WRITTEN_ORDER } from './attribute-rules.ts';
import { members, readString } from './json-text.ts';

const BEFORE_EXTENSIONS: ReadonlySet<string> = new Set(WRITTEN_ORDER);

/** What ordering by key goes by: `partitionkey`, else `subject`, else nothing. */
export function orderingKeyOf(event: { partitionkey: string | null; subject: string | null }): string | null {
  return event.partitionkey ?? event.subject;
}

/** The same of a stored event, without parsing its data. The log's index of keys holds the event under this very key. */
export function orderingKey(json: string): string | null {
  let subject: string | null = null;
  for (const { name, text } of members(json)) {
    if (name === 'subject') subject = readString(text);
    else if (name === 'partitionkey') return readString(text);
    else if (!BEFORE_EXTENSIONS.has(name)) break;
  }
  return subject;
}
