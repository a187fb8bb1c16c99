import { EVENT_BYTES_MAX } from '../events/limits.ts';
import { parseStored, type StoredEvent } from '../events/stored.ts';
import { keptJsonata } from '../expressions/jsonata.ts';
import { TRANSFORM_HEADER_CHARACTERS_MAX, TRANSFORM_HEADERS_MAX } from '../expressions/limits.ts';
import type { Transform } from '../subscriptions/document.ts';
import type { ClaimedEvent, DeliveryOutcome, WebhookTarget } from '../subscriptions/protocol-claims.ts';
import { headerProblem } from './headers.ts';
import { WEBHOOK_URL_LENGTH_MAX } from './url-rules.ts';

/** What goes out for an event, after the subscription's transform. */
export interface Outgoing {
  event: ClaimedEvent;
  url: string;
  /** Beside those of the configuration, of which they take the place; lower-case names. */
  headers: Record<string, string>;
}

export type TransformResult =
  | { ok: true; outgoing: Outgoing }
  /** No request can be made of the event. `error` says which expression failed, and why. */
  | { ok: false; error: string };

/** Never throws. Each expression is over the event as it was published; without one, what is configured goes out. */
export async function transformed(
  { url, transform }: Pick<WebhookTarget, 'url' | 'transform'>,
  event: ClaimedEvent,
): Promise<TransformResult> {
  if (transform === null) return { ok: true, outgoing: { event, url, headers: {} } };
  const stored = parseStored(event.json);
  const input = { ...stored, sequence: event.sequence };
  try {
    return {
      ok: true,
      outgoing: {
        event: transform.data === null ? event : withData(event, stored, await run('data', transform.data, input)),
        url: transform.path === null ? url : onSameOrigin(url, await run('path', transform.path, input)),
        headers: transform.headers === null ? {} : headersIn(await run('headers', transform.headers, input)),
      },
    };
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    return { ok: false, error: error.message };
  }
}

/** The event as it goes out in other ways than by a webhook: with the data that the transform makes. Never throws. */
export async function transformedEvent<Event extends EventToSend>(
  transform: Transform | null,
  event: Event,
): Promise<{ ok: true; event: Event } | { ok: false; error: string }> {
  if (transform?.data == null) return { ok: true, event };
  const stored = parseStored(event.json);
  try {
    const data = await run('data', transform.data, { ...stored, sequence: event.sequence });
    return { ok: true, event: withData(event, stored, data) };
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    return { ok: false, error: error.message };
  }
}

type EventToSend = Pick<ClaimedEvent, 'sequence' | 'json'>;

/** What an expression of a transform made can't be sent. */
class Failed extends Error {
  constructor(member: 'data' | 'headers' | 'path', problem: string) {
    super(`transform.${member} ${problem}`);
    this.name = 'Failed';
  }
}

async function run(member: 'data' | 'headers' | 'path', expression: string, input: unknown): Promise<unknown> {
  const result = await keptJsonata(expression).evaluate(input);
  if (!result.ok) throw new Failed(member, `failed: ${result.error}`);
  return result.value;
}

/** The event with other data. What JSONata does not find is null. A schema speaks of the data that was published. */
function withData<Event extends EventToSend>(event: Event, stored: StoredEvent, data: unknown): Event {
  const { data: _data, data_base64: _bytes, dataschema: _schema, datacontenttype: _type, ...attributes } = stored;
  const json = JSON.stringify({ ...attributes, datacontenttype: 'application/json', data: data ?? null });
  if (new TextEncoder().encode(json).length > EVENT_BYTES_MAX)
    throw new Failed('data', `makes an event of more than ${EVENT_BYTES_MAX} bytes`);
  return { ...event, json };
}

/** Another path, with its query: never another host. */
function onSameOrigin(url: string, path: unknown): string {
  if (path === undefined) return url;
  if (typeof path !== 'string') throw new Failed('path', 'makes no string');
  if (!path.startsWith('/')) throw new Failed('path', 'makes a path that does not start with a slash');
  const base = URL.parse(url);
  const changed = URL.parse(path, url);
  if (base === null || changed === null || changed.origin !== base.origin || changed.username + changed.password !== '')
    throw new Failed('path', 'makes a path that leads to another host');
  if (changed.href.length > WEBHOOK_URL_LENGTH_MAX)
    throw new Failed('path', `makes a URL of more than ${WEBHOOK_URL_LENGTH_MAX} characters`);
  return changed.href;
}

function headersIn(made: unknown): Record<string, string> {
  if (made === undefined) return {};
  if (typeof made !== 'object' || made === null || Array.isArray(made)) throw new Failed('headers', 'makes no object');
  const entries = Object.entries(made);
  if (entries.length > TRANSFORM_HEADERS_MAX)
    throw new Failed('headers', `makes more than ${TRANSFORM_HEADERS_MAX} headers`);
  const headers: Record<string, string> = {};
  for (const [name, value] of entries) {
    if (name.length > TRANSFORM_HEADER_CHARACTERS_MAX)
      throw new Failed('headers', `makes a header name of more than ${TRANSFORM_HEADER_CHARACTERS_MAX} characters`);
    if (typeof value !== 'string') throw new Failed('headers', `makes "${name}" no string`);
    if (value.length > TRANSFORM_HEADER_CHARACTERS_MAX)
      throw new Failed('headers', `makes "${name}" longer than ${TRANSFORM_HEADER_CHARACTERS_MAX} characters`);
    const problem = headerProblem(name, value);
    if (problem !== null) throw new Failed('headers', `makes a header that is not allowed: ${problem}`);
    headers[name.toLowerCase()] = value;
  }
  return headers;
}

/** {@link transformedEvent} for several: those that can go out, and what became of the others. */
export async function transformedEvents(
  transform: Transform | null,
  events: readonly ClaimedEvent[],
): Promise<{ members: ClaimedEvent[]; invalid: DeliveryOutcome[] }> {
  if (transform?.data == null) return { members: [...events], invalid: [] };
  const members: ClaimedEvent[] = [];
  const invalid: DeliveryOutcome[] = [];
  for (const event of events) {
    const result = await transformedEvent(transform, event);
    if (result.ok) members.push(result.event);
    else invalid.push({ kind: 'invalid', topic: event.topic, sequence: event.sequence, error: result.error });
  }
  return { members, invalid };
}
