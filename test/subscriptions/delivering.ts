import { deliverLease } from '../../src/deliveries/consumer.ts';
import type { UrlGuard } from '../../src/deliveries/url-guard.ts';
import type { RateLimit } from '../../src/subscriptions/document.ts';
import { FakeBindings } from '../support/fake-bindings.ts';
import { sealsUnder } from '../support/seals.ts';
import type { Hub } from './harness.ts';

/** A request, as its sender started it. */
export interface Started {
  at: number;
  sequence: number;
  attempt: number;
  replay: string | null;
}

type Answer = (started: Started) => Promise<Response> | Response;

/** The queue and its consumers beside a hub: what is sent is claimed, requested and settled as time goes by. */
export class Delivering {
  readonly started: Started[] = [];
  /** Of batches: the first and the last sequence in each request. */
  readonly members: [first: number, last: number][] = [];
  readonly bindings = new FakeBindings();
  readonly seals = sealsUnder();
  readonly #hub: Hub;
  answer: Answer;
  /** What is found out of the receiver's name. */
  check: UrlGuard['check'] = async (url) => ({ ok: true, url });

  constructor(hub: Hub, answer: Answer = () => new Response('ok')) {
    this.#hub = hub;
    this.answer = answer;
  }

  /** A receiver that takes so long. */
  after(ms: number, status = 200, headers: Record<string, string> = {}): Answer {
    return () => this.#hub.clock.sleep(ms).then(() => new Response('answer', { status, headers }));
  }

  /** Lets time go by, in steps: messages are taken, alarms fire, receivers answer. */
  async run(ms: number, stepMs = 5): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      for (const queue of [this.#hub.deliveries, this.#hub.retries]) {
        for (let message = queue.shift(); message; message = queue.shift()) void this.#deliver(message);
      }
      await this.#hub.advance(stepMs);
    }
  }

  #deliver(message: unknown): Promise<void> {
    const { clock } = this.#hub;
    return deliverLease(message, {
      // Whichever object there is by then.
      subscription: (name) => ({
        claim: (lease) => this.#hub.subscription(name).claim(lease),
        settle: (request) => this.#hub.subscription(name).settle(request),
      }),
      clock,
      log: () => undefined,
      bindings: this.bindings,
      seals: this.seals,
      guard: { check: (url) => this.check(url) },
      version: '9.9.9',
      fetch: async (_url, { headers }) => {
        const started = {
          at: clock.now(),
          sequence: Number(headers['millrace-sequence']),
          attempt: Number(headers['millrace-attempt']),
          replay: headers['millrace-replay'] ?? null,
        };
        this.started.push(started);
        if (headers['millrace-first-sequence'] !== undefined)
          this.members.push([Number(headers['millrace-first-sequence']), Number(headers['millrace-last-sequence'])]);
        return this.answer(started);
      },
    });
  }

  /** The most requests that were started within any span of the limit. */
  most({ spanMs }: RateLimit, started = this.started): number {
    const times = started.map(({ at }) => at).sort((a, b) => a - b);
    let most = 0;
    for (let first = 0, last = 0; last < times.length; last++) {
      while ((times[last] ?? 0) - (times[first] ?? 0) >= spanMs) first += 1;
      most = Math.max(most, last - first + 1);
    }
    return most;
  }
}
