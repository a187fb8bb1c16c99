import { type ConsumerPorts, deliverLease } from '../../src/deliveries/consumer.ts';
import type { UrlGuard } from '../../src/deliveries/url-guard.ts';
import type { WebhookInit } from '../../src/deliveries/webhook.ts';
import type {
  Claim,
  ClaimedEvent,
  ClaimResult,
  DeliveryOutcome,
  LeaseMessage,
  SettleRequest,
  SettleResult,
  WebhookTarget,
} from '../../src/subscriptions/protocol-claims.ts';
import { FakeBindings } from '../support/fake-bindings.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { sealsUnder } from '../support/seals.ts';

/** A consumer's surroundings in a test: a Subscription that keeps books, a receiver by script, a clock that stands still. */

export const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';

export interface Sent {
  url: string;
  init: WebhookInit;
  sequence: number;
  /** When it was started, milliseconds since the bench was made. */
  at: number;
}

type Receiver = (sent: Sent) => Promise<Response> | Response;
type Settler = (request: SettleRequest) => Promise<SettleResult> | SettleResult;

export function event(sequence: number, more: Partial<ClaimedEvent> = {}): ClaimedEvent {
  const json = JSON.stringify({ specversion: '1.0', id: `e${sequence}`, source: '/t', type: 'order.created' });
  const always = { topic: 'orders', attempt: 1, replay: null, redriven: false, key: null, notBefore: null };
  return { ...always, sequence, json, ...more };
}

export function target(more: Partial<WebhookTarget> = {}): WebhookTarget {
  return {
    kind: 'webhook',
    url: 'https://example.com/hook',
    format: 'structured',
    timeoutMs: 15_000,
    headers: {},
    secrets: [SECRET],
    maxBatch: 1,
    transform: null,
    ...more,
  };
}

export const MESSAGE: LeaseMessage = { v: 1, subscription: 'billing', lease: 7 };

export class Bench {
  readonly clock = new FakeClock();
  readonly startedAt = this.clock.now();
  readonly sent: Sent[] = [];
  /** Whole settle requests, the refused and lost ones too. */
  readonly settles: (SettleRequest & { at: number })[] = [];
  readonly logs: { level: string; message: string; fields: Record<string, unknown> | undefined }[] = [];
  readonly bindings = new FakeBindings();
  seals: ConsumerPorts['seals'] = sealsUnder();
  inFlight = 0;
  inFlightMax = 0;
  claims = 0;

  claim: () => Promise<ClaimResult>;
  receiver: Receiver = () => new Response('ok');
  guard: UrlGuard = { check: async (url) => ({ ok: true, url }) };
  settler: Settler;
  readonly #unsettled: Set<number>;

  constructor(events: ClaimedEvent[], deliveryTarget: Claim['target'] = target(), renewEveryMs = 5_000) {
    this.#unsettled = new Set(events.map(({ sequence }) => sequence));
    this.claim = async () => ({
      outcome: 'claimed',
      token: 'token-1',
      renewEveryMs,
      subscription: 'billing',
      events,
      target: deliveryTarget,
      slotLifeMs: 49,
    });
    this.settler = (request) => this.settleWell(request);
  }

  /** What the Subscription does while all is well. */
  settleWell(request: SettleRequest): SettleResult {
    for (const { sequence } of request.outcomes) this.#unsettled.delete(sequence);
    return { outcome: 'settled', remaining: this.#unsettled.size };
  }

  get ports(): ConsumerPorts {
    return {
      subscription: () => ({
        claim: () => {
          this.claims += 1;
          return this.claim();
        },
        settle: async (request) => {
          this.settles.push({ ...structuredClone(request), at: this.elapsed });
          return this.settler(request);
        },
      }),
      fetch: (url, init) => this.#receive(url, init),
      clock: this.clock,
      log: (level, message, fields) => this.logs.push({ level, message, fields }),
      guard: { check: (url) => this.guard.check(url) },
      bindings: this.bindings,
      seals: this.seals,
      version: '9.9.9',
    };
  }

  get elapsed(): number {
    return this.clock.now() - this.startedAt;
  }

  /** Sequences in the order their requests were started. */
  get started(): number[] {
    return this.sent.map(({ sequence }) => sequence);
  }

  get outcomes(): DeliveryOutcome[] {
    return this.settles.flatMap(({ outcomes }) => outcomes);
  }

  /** `kind` of each outcome by sequence, a failure's with its own kind and status. */
  get results(): Record<number, string> {
    return Object.fromEntries(
      this.outcomes.map((outcome) => [
        outcome.sequence,
        outcome.kind === 'failed'
          ? [outcome.outcome, outcome.status].filter((word) => word !== null).join(' ')
          : outcome.kind,
      ]),
    );
  }

  async #receive(url: string, init: WebhookInit): Promise<Response> {
    const sent = { url, init, sequence: Number(init.headers['millrace-sequence']), at: this.elapsed };
    this.sent.push(sent);
    this.inFlight += 1;
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    try {
      return await this.receiver(sent);
    } finally {
      this.inFlight -= 1;
    }
  }

  /** A receiver that answers after `ms`, unless the request is aborted before. */
  after(ms: number, response: () => Response = () => new Response('ok')): Receiver {
    return ({ init }) =>
      new Promise((resolve, reject) => {
        init.signal.addEventListener('abort', () => reject(init.signal.reason));
        this.clock.sleep(ms).then(() => resolve(response()));
      });
  }
}

export function events(count: number, more: (sequence: number) => Partial<ClaimedEvent> = () => ({})): ClaimedEvent[] {
  return Array.from({ length: count }, (_, index) => event(index + 1, more(index + 1)));
}

/** Runs a lease to its end, moving the clock in small steps. Answers how long it took. @throws if that is longer than `limitMs` */
export async function run(bench: Bench, limitMs = 120_000): Promise<number> {
  let done = false;
  const lease = deliverLease(MESSAGE, bench.ports).then(() => {
    done = true;
  });
  await settled();
  while (!done && bench.elapsed < limitMs) await bench.clock.advance(50);
  if (!done) throw new Error(`still running after ${bench.elapsed} ms`);
  await lease;
  return bench.elapsed;
}
