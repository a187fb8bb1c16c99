import type { NewEvent } from '../topics/protocol.ts';
import type { SentAttributes } from './cloudevent.ts';
import type { EventData } from './data.ts';
import { contentHash, identityHash } from './hashes.ts';

/** What an event gets where its producer left it out. `time` is RFC 3339. */
export interface EventDefaults {
  topic: string;
  time: string;
  makeId: () => string;
}

/** An event ready for the log, with its id for the receipt. */
export interface DecodedEvent {
  id: string;
  event: NewEvent;
}

/** Completes a checked event and writes it out: attributes in one readable order, extensions by name, data last. */
export function newEvent(attributes: SentAttributes, data: EventData | null, defaults: EventDefaults): DecodedEvent {
  const { type, subject, datacontenttype, dataschema, partitionkey, extensions } = attributes;
  const id = attributes.id ?? defaults.makeId();
  const source = attributes.source ?? `/topics/${defaults.topic}`;
  const time = attributes.time ?? defaults.time;

  const members = [`"specversion":"1.0"`, member('id', id), member('source', source), member('type', type)];
  // Before `time`: readers of an event's head stop there.
  if (subject !== null) members.push(member('subject', subject));
  members.push(member('time', time));
  if (datacontenttype !== null) members.push(member('datacontenttype', datacontenttype));
  if (dataschema !== null) members.push(member('dataschema', dataschema));
  if (partitionkey !== null) members.push(member('partitionkey', partitionkey));
  for (const [name, value] of extensions) members.push(member(name, value));
  if (data?.kind === 'json') members.push(`"data":${data.text}`);
  if (data?.kind === 'base64') members.push(`"data_base64":"${data.text}"`);

  const event: NewEvent = {
    type,
    source,
    subject,
    key: partitionkey ?? subject,
    identity: identityHash(source, id),
    content: contentHash({ ...attributes, data }, attributes.time),
    json: `{${members.join(',')}}`,
  };
  return { id, event };
}

/** Names need no escaping: they were checked. */
function member(name: string, value: string | number | boolean): string {
  return `"${name}":${JSON.stringify(value)}`;
}
