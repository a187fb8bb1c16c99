import { randomBytes } from 'node:crypto';
import type { ApiClient } from '../hub/api-client.ts';
import { type Arrival, isSuccess, Receiver } from '../hub/receiver.ts';
import type { DemoEvent } from './payloads.ts';

const SECRET_BYTES = 32;
const OUTAGE_MS = 3_000;

const OK = 200;
const UNPROCESSABLE = 422;
const UNAVAILABLE = 503;

/** One of the three consumers: a receiver, and the subscription that feeds it. */
export interface Consumer {
  name: string;
  receiver: Receiver;
  /** The type filter; empty for every event. */
  types: string[];
  wants(event: DemoEvent): boolean;
  register(api: ApiClient, topic: string): Promise<void>;
}

/** Five attempts within about ten seconds: a demo can't wait for the default schedule's three days. */
const RETRY = { schedule: ['500ms', '1s', '2s', '3s'], jitter: 0.1 };

/** Each consumer makes its own secret, so that it can verify the very first request. */
async function consumer(name: string, types: string[]): Promise<Consumer> {
  const secret = `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
  const receiver = await Receiver.start({ secret });
  const prefixes = types.map((type) => type.slice(0, -1));
  return {
    name,
    receiver,
    types,
    wants: ({ type }) => prefixes.length === 0 || prefixes.some((prefix) => type.startsWith(prefix)),
    register: async (api, topic) => {
      await api.putSubscription(name, {
        topics: [topic],
        ...(types.length > 0 ? { filter: { types } } : {}),
        retry: RETRY,
        delivery: { kind: 'webhook', url: receiver.url, secret },
      });
    },
  };
}

export function startConsumers(): Promise<[billing: Consumer, email: Consumer, analytics: Consumer]> {
  return Promise.all([
    consumer('billing', []),
    consumer('welcome-email', ['com.github.member*', 'com.github.organization*', 'com.github.installation*']),
    consumer('analytics', []),
  ]);
}

/** Billing is down for the first seconds after its first request, and can't digest the event `poison` at all. */
export function breakBilling({ receiver }: Consumer, poison: string): void {
  let downUntil: number | null = null;
  receiver.answer = (arrival) => {
    downUntil ??= arrival.at + OUTAGE_MS;
    if (arrival.at < downUntil) return UNAVAILABLE;
    return eventId(arrival) === poison ? UNPROCESSABLE : OK;
  };
}

export function fixBilling({ receiver }: Consumer): void {
  receiver.answer = () => OK;
}

export function eventId(arrival: Arrival): string {
  const event: { id: string } = JSON.parse(arrival.body);
  return event.id;
}

/** What a receiver's own book says. */
export interface BookSums {
  requests: number;
  refused: number;
  unverified: number;
  /** Ids of the events it took, each once. */
  taken: Set<string>;
  /** Distinct events and distinct webhook-ids that came, refused ones too. */
  seen: number;
  webhookIds: number;
  retries: number;
  replayed: number;
}

export function sumBook({ receiver: { book } }: Consumer): BookSums {
  const taken = book.filter(({ status }) => isSuccess(status));
  return {
    requests: book.length,
    refused: book.length - taken.length,
    unverified: book.filter(({ verified }) => verified !== true).length,
    taken: new Set(taken.map(eventId)),
    seen: new Set(book.map(eventId)).size,
    webhookIds: new Set(book.map(({ webhookId }) => webhookId)).size,
    retries: book.filter(({ attempt }) => attempt > 1).length,
    replayed: book.filter(({ replay }) => replay !== null).length,
  };
}
