import { toBase64 } from '../base64.ts';
import { attributesOf } from '../events/binary.ts';
import { isJson, isText, parseMediaType } from '../events/media-type.ts';
import { type Delivery, type EventOf, placeOf } from './delivery.ts';

/** What a webhook brings, by the format of its subscription. */

export type ReceivedWebhook<Data = unknown> = WebhookFacts &
  (
    | { format: 'structured' | 'binary'; deliveries: [Delivery<Data>] }
    | { format: 'batch'; deliveries: [Delivery<Data>, ...Delivery<Data>[]] }
    /** The data alone comes without its event: JSON, text, or else bytes. */
    | { format: 'data'; deliveries: []; sequence: number; data: Data }
  );

export interface WebhookFacts {
  /** `msg_…`: the same over all attempts and replays. */
  id: string;
  /** When this attempt was made. */
  at: Date;
  topic: string;
  attempt: number;
  replay: string | null;
  redriven: boolean;
}

/**
 * Reads a webhook that is verified.
 *
 * @param seconds its time, since the epoch.
 * @param expected its format, where that is known: which it is, only headers say, and headers aren't signed
 * @throws where it is none of the hub's
 */
export function receivedWebhook<Data>(
  id: string,
  seconds: number,
  headers: Headers,
  body: Uint8Array,
  expected: ReceivedWebhook['format'] | undefined,
): ReceivedWebhook<Data> {
  const said = {
    topic: headers.get('millrace-topic'),
    sequence: Number(headers.get('millrace-sequence') ?? headers.get('millrace-first-sequence')),
  };
  const facts: WebhookFacts = {
    id,
    at: new Date(seconds * 1000),
    topic: said.topic ?? '',
    attempt: Number(headers.get('millrace-attempt') ?? 1),
    replay: headers.get('millrace-replay'),
    redriven: headers.get('millrace-redriven') === 'true',
  };
  const deliveryOf = (event: EventOf<Data>): Delivery<Data> => {
    const { attempt, replay, redriven } = facts;
    // The event is believed: headers aren't signed.
    return { event, ...checked(placeOf(event)), attempt, replay, redriven };
  };
  const type = headers.get('content-type') ?? '';
  const format = formatOf(headers, type);
  if (format !== (expected ?? format)) throw new TypeError(`it is of the format ${format} and not ${expected}`);
  switch (format) {
    case 'batch': {
      const [first, ...others]: EventOf<Data>[] = JSON.parse(textOf(body));
      if (first === undefined) throw new TypeError('the batch is empty');
      return { ...facts, format: 'batch', deliveries: [deliveryOf(first), ...others.map(deliveryOf)] };
    }
    case 'structured':
      return { ...facts, format: 'structured', deliveries: [deliveryOf(JSON.parse(textOf(body)))] };
    case 'binary':
      return { ...facts, format: 'binary', deliveries: [deliveryOf(binaryEvent(headers, body))] };
    case 'data': {
      const { data, data_base64: base64 } = dataOf(type, body);
      const alone = (base64 === undefined ? data : body) as Data;
      return { ...facts, ...checked(said), format: 'data', deliveries: [], data: alone };
    }
  }
}

/** By the hub's headers first: the content type of `binary` and `data` is the publisher's, whose data may be an event itself. */
function formatOf(headers: Headers, type: string): ReceivedWebhook['format'] {
  if (headers.get('millrace-format') === 'data') return 'data';
  if (headers.has('ce-specversion')) return 'binary';
  if (type.startsWith('application/cloudevents-batch+json')) return 'batch';
  return type.startsWith('application/cloudevents+json') ? 'structured' : 'data';
}

/** @throws TypeError */
function checked({ topic, sequence }: { topic: string | null; sequence: number }): { topic: string; sequence: number } {
  if (typeof topic === 'string' && Number.isSafeInteger(sequence) && sequence > 0) return { topic, sequence };
  throw new TypeError('it does not say its topic and sequence');
}

/** The attributes that only the hub sets, which are plain text. */
const HUB_ATTRIBUTES = ['topic', 'sequence', 'recordedtime'] as const;

function binaryEvent<Data>(headers: Headers, body: Uint8Array): EventOf<Data> {
  const type = headers.get('content-type');
  const own = HUB_ATTRIBUTES.map((name) => [name, headers.get(`ce-${name}`)] as const);
  const { attributes, errors } = attributesOf(headers);
  if (errors[0] !== undefined) throw new TypeError(`${errors[0].path} ${errors[0].message}`);
  const event: Record<string, unknown> = {
    ...attributes,
    ...Object.fromEntries(own.filter(([, value]) => value !== null)),
    ...(type !== null && { datacontenttype: type }),
    ...dataOf(type ?? '', body),
  };
  return event as EventOf<Data>;
}

/** As the JSON format would have it: JSON, text, or base64. */
function dataOf(contentType: string, body: Uint8Array): { data?: unknown; data_base64?: string } {
  const media = parseMediaType(contentType);
  if (body.length === 0) return {};
  if (media !== null && isJson(media)) return { data: JSON.parse(textOf(body)) };
  if (media !== null && isText(media)) return { data: textOf(body) };
  return { data_base64: toBase64(body) };
}

function textOf(body: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(body);
}
