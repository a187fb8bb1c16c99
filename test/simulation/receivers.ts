import type { HandshakePorts } from '../../src/deliveries/handshake.ts';
import type { UrlGuard } from '../../src/deliveries/url-guard.ts';
import { urlRules } from '../../src/deliveries/url-rules.ts';
import type { Fetch } from '../../src/deliveries/webhook.ts';
import { orderingKey } from '../../src/events/ordering-key.ts';
import type { Delivery, Outcome, SeenEvent } from '../history/operations.ts';
import type { RequestStart } from '../history/rate-rules.ts';
import { bodyText } from '../support/body-text.ts';
import type { Life, Scheduler } from './scheduler.ts';

/** How a receiver behaves at present: what it does with each request, by weight. */
export type Manner = Partial<Record<Answer, number>>;

type Answer =
  | 'accept'
  | 'late'
  | 'error'
  | 'busy'
  | 'overloaded'
  | 'gone'
  | 'hang'
  | 'reset'
  | 'reset-after'
  | 'redirect';

export const HEALTHY: Manner = { accept: 1 };

/** What receivers are like while faults are on. */
export const MANNERS: Record<string, Manner> = {
  healthy: HEALTHY,
  flaky: { accept: 6, error: 2, busy: 1, reset: 1, 'reset-after': 1, late: 1 },
  failing: { error: 5, redirect: 1, reset: 1, busy: 1 },
  hanging: { hang: 5, late: 2, accept: 1 },
  limited: { accept: 3, busy: 3 },
  overloaded: { accept: 4, overloaded: 4, busy: 1 },
  leaving: { accept: 5, gone: 1 },
};

/** What a receiver says that is asked for its consent, while faults are on. `later`: it calls back. */
const CONSENTS = ['gives', 'gives', 'limits', 'refuses', 'later', 'hangs', 'resets'] as const;
const CALLS_BACK_WITHIN_MS = 30_000;

const THINKING_MAX_MS = 30;
const LATE_MAX_MS = 20_000;
const STATUSES_OF_OVERLOAD = [502, 503, 504];

/** The receivers of all subscriptions: each has a host of its own, and books of what it was sent and what it answered. */
export class Receivers {
  readonly books: Delivery[] = [];
  /** When requests were started, by the consumers that sent them. */
  readonly starts: RequestStart[] = [];
  readonly manners = new Map<string, Manner>();
  /** Types of events that a host always refuses, as a bug in a receiver does. */
  readonly poison = new Map<string, string>();
  /** Hosts whose names can't be looked up. */
  readonly unresolved = new Set<string>();
  /** Hosts that have ever consented to being sent anything; and those that were sent something though they had not. */
  readonly consented = new Set<string>();
  readonly unasked = new Set<string>();
  /** A receiver consents of its own accord, by what it was told when it was asked. */
  callBack: (subscription: string, token: string) => void = () => {};
  readonly #scheduler: Scheduler;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  heal(): void {
    this.manners.clear();
    this.poison.clear();
    this.unresolved.clear();
  }

  /** The guard of the consumer `life`: it lets names through that can be looked up. */
  guard(life: Life): UrlGuard {
    const rules = urlRules({ allowHosts: '', hubHosts: '' });
    return {
      check: async (url) => {
        const verdict = rules.check(url);
        if (!verdict.ok || verdict.name === null) return verdict;
        await this.#scheduler.hop(`looks up ${verdict.name}`, life);
        if (!this.unresolved.has(verdict.name)) return verdict;
        return { ok: false, code: 'look-up-failed', detail: `${verdict.name} could not be looked up.` };
      },
    };
  }

  /** `fetch` as the consumer `life` has it. */
  fetch(life: Life): Fetch {
    return async (url, init) => {
      const { host, pathname } = new URL(url);
      const consumer = life.name;
      if (!this.consented.has(host)) this.unasked.add(host);
      this.starts.push({ subscription: pathname.slice(1), at: this.#scheduler.elapsed });
      await this.#scheduler.hop(`requests ${host}`, life);
      return new Promise<Response>((resolve, reject) => {
        this.#scheduler.post(`request to ${host}`, null, () => {
          void this.#answer(host, pathname.slice(1), consumer, init.headers, bodyText(init.body)).then((answer) => {
            this.#scheduler.post(`answer of ${host}: ${answer?.status ?? 'reset'}`, life, () =>
              answer === null ? reject(new Error('Connection reset.')) : resolve(answer),
            );
          });
        });
      });
    };
  }

  /** `fetch` as whoever asks for consent has it. */
  options(life: Life): HandshakePorts['fetch'] {
    return async (url, { headers }) => {
      const { host } = new URL(url);
      await this.#scheduler.hop(`asks ${host}`, life);
      return new Promise<Response>((resolve, reject) => {
        this.#scheduler.post(`OPTIONS to ${host}`, null, () => {
          void this.#consent(host, headers).then((answer) => {
            this.#scheduler.post(`${host} says ${answer?.status ?? 'nothing'}`, life, () =>
              answer === null ? reject(new Error('Connection reset.')) : resolve(answer),
            );
          });
        });
      });
    };
  }

  /** What the receiver says to being asked; null resets the connection. */
  async #consent(host: string, headers: Record<string, string>): Promise<Response | null> {
    const { random } = this.#scheduler;
    const saying = this.manners.has(host) ? random.pick(CONSENTS) : 'gives';
    await this.#scheduler.sleep(`${host} thinks`, null, random.between(0, THINKING_MAX_MS));
    this.#scheduler.trace.add(`${host}, asked for its consent: ${saying}`);
    const origin = headers['webhook-request-origin'] ?? '';
    switch (saying) {
      case 'gives':
        this.consented.add(host);
        return new Response(null, { headers: { 'webhook-allowed-origin': origin } });
      case 'limits':
        this.consented.add(host);
        return new Response(null, { headers: { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '120' } });
      case 'refuses':
        return new Response(null, { status: 403 });
      case 'hangs':
        return new Promise(() => {});
      case 'resets':
        return null;
      case 'later': {
        const [, subscription = '', token = ''] =
          /subscriptions\/([^/]+)\/handshake\/(\w+)$/.exec(headers['webhook-request-callback'] ?? '') ?? [];
        void this.#scheduler.sleep(`${host} thinks it over`, null, random.between(0, CALLS_BACK_WITHIN_MS)).then(() => {
          this.consented.add(host);
          this.callBack(subscription, token);
        });
        return new Response(null, { status: 202 });
      }
    }
  }

  /** What the receiver does with a request; null resets the connection. */
  async #answer(
    host: string,
    subscription: string,
    consumer: string,
    headers: Record<string, string>,
    body: string,
  ): Promise<Response | null> {
    const { random } = this.#scheduler;
    const events = seenEvents(body);
    const isPoisoned = events.some(({ event }) => event.type === this.poison.get(host));
    const manner: Manner = isPoisoned ? { error: 1 } : (this.manners.get(host) ?? HEALTHY);
    const answer = random.weighted(manner as Record<Answer, number>);
    const members = events.map(({ event }) => event.sequence);
    const entries = events.map(
      ({ event, topic, key }): Delivery => ({
        kind: 'delivery',
        outcome: 'unknown',
        start: this.#scheduler.steps,
        end: Number.POSITIVE_INFINITY,
        subscription,
        topic,
        event,
        webhookId: headers['webhook-id'] ?? '',
        members,
        replay: headers['millrace-replay'] ?? null,
        sender: { consumer, key, redriven: headers['millrace-redriven'] !== undefined },
      }),
    );
    this.books.push(...entries);
    if (!areNamed(events, headers)) {
      throw new Error(`The headers ${JSON.stringify(headers)} name other events than ${body}.`);
    }
    if (answer === 'hang') {
      return new Promise(() => {});
    }
    const thinking = answer === 'late' ? random.between(1, LATE_MAX_MS) : random.between(0, THINKING_MAX_MS);
    await this.#scheduler.sleep(`${host} thinks`, null, thinking);
    const done = (outcome: Outcome, response: Response | null) => {
      for (const entry of entries) {
        entry.outcome = outcome;
        entry.end = this.#scheduler.steps;
        this.#scheduler.trace.add(`${host} has ${outcome} ${entry.topic} ${entry.event.sequence}`);
      }
      return response;
    };
    switch (answer) {
      case 'accept':
      case 'late':
        return done('success', new Response(null, { status: 204 }));
      case 'reset-after':
        return done('success', null);
      case 'reset':
        return done('failure', null);
      case 'error':
        return done('failure', new Response(null, { status: 500 }));
      case 'redirect':
        return done(
          'failure',
          new Response(null, { status: 302, headers: { location: 'https://elsewhere.example/' } }),
        );
      case 'gone':
        return done('failure', new Response(null, { status: 410 }));
      case 'overloaded': {
        const retryAfter = random.chance(0.3) ? { 'retry-after': String(random.between(1, 120)) } : {};
        return done('failure', new Response(null, { status: random.pick(STATUSES_OF_OVERLOAD), headers: retryAfter }));
      }
      case 'busy':
        return done(
          'failure',
          new Response(null, { status: 429, headers: { 'retry-after': String(random.between(0, 20)) } }),
        );
    }
  }
}

interface Seen {
  event: SeenEvent;
  topic: string;
  key: string | null;
}

/** The events of a request: one, or those of a batch. */
function seenEvents(body: string): Seen[] {
  if (!body.startsWith('[')) return [seenEvent(body)];
  const events: unknown[] = JSON.parse(body);
  return events.map((event) => seenEvent(JSON.stringify(event)));
}

/** Is what the headers say of a request's events so? */
function areNamed(events: Seen[], headers: Record<string, string>): boolean {
  const first = headers['millrace-first-sequence'] ?? headers['millrace-sequence'];
  const last = headers['millrace-last-sequence'] ?? headers['millrace-sequence'];
  return (
    events.every(({ topic }) => topic === headers['millrace-topic']) &&
    events.every(({ event }, index) => event.sequence > (events[index - 1]?.event.sequence ?? 0)) &&
    events.at(0)?.event.sequence === Number(first) &&
    events.at(-1)?.event.sequence === Number(last)
  );
}

/** An event as readers and receivers get it. */
export function seenEvent(json: string): Seen {
  const event: unknown = JSON.parse(json);
  if (
    typeof event !== 'object' ||
    event === null ||
    !('source' in event && 'id' in event && 'type' in event && 'topic' in event && 'sequence' in event) ||
    typeof event.type !== 'string' ||
    typeof event.topic !== 'string'
  ) {
    throw new Error(`This is no event of the hub: ${json}`);
  }
  return {
    topic: event.topic,
    key: orderingKey(json),
    event: {
      sequence: Number(event.sequence),
      identity: `${event.source} ${event.id}`,
      content: 'data' in event ? JSON.stringify(event.data) : '',
      type: event.type,
    },
  };
}
