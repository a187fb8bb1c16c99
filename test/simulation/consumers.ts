import { deliverLease } from '../../src/deliveries/consumer.ts';
import { handleHandshake, isHandshakeMessage } from '../../src/deliveries/handshake.ts';
import { Seals } from '../../src/deliveries/seal.ts';
import type { SubscriptionApi } from '../../src/subscriptions/protocol.ts';
import type { ConsumerWorkers } from './consumer-workers.ts';
import { nameOf, type QueueMessage } from './network.ts';
import type { Party } from './object-host.ts';
import type { Receivers } from './receivers.ts';
import type { Life, Scheduler } from './scheduler.ts';

/** How often the queue sends a message again whose invocation died. */
const REDELIVERY_CHANCE = 0.5;

/** Seals that anybody could make: what they are worth is tested elsewhere, and here their time would be wasted. */
const WAX_SEALS = Seals.under(btoa('x'.repeat(32)), () => async () => new Uint8Array(32));

/** Where receivers are told that the hub is. */
export const HUB = 'https://hub.example';

type Called = Pick<SubscriptionApi, 'claim' | 'settle' | 'consentRequest' | 'consentAnswer'>;

/**
 * The queue's consumer: one invocation a message, each of which may be killed or paused at any await. With each lease that it
 * goes on with it has another name, as if it were another: whatever is promised of one is judged by itself.
 */
export class Consumers {
  readonly running = new Set<Life>();
  readonly #scheduler: Scheduler;
  readonly #receivers: Receivers;
  readonly #workers: ConsumerWorkers;
  readonly #subscription: (name: string, from: Party) => Called;
  #invocations = 0;
  mortal = false;

  constructor(
    scheduler: Scheduler,
    receivers: Receivers,
    workers: ConsumerWorkers,
    subscription: (name: string, from: Party) => Called,
  ) {
    this.#scheduler = scheduler;
    this.#receivers = receivers;
    this.#workers = workers;
    this.#subscription = subscription;
  }

  invoke(message: QueueMessage): void {
    this.#invocations += 1;
    const life: Life = { name: `consumer${this.#invocations}`, alive: true, pausedUntil: 0, kill: null };
    if (this.mortal) {
      life.kill = () => this.#kill(life, message);
    }
    this.running.add(life);
    const party: Party = { life, ready: () => Promise.resolve() };
    const ports = {
      subscription: (name: string) => this.#goingOn(this.#subscription(name, party), life),
      clock: this.#scheduler.clock(life),
      fetch: this.#receivers.fetch(life),
      guard: this.#receivers.guard(life),
      bindings: this.#workers.bindings(life),
      seals: WAX_SEALS,
      version: 'simulated',
      log: (level: string, text: string, fields?: Record<string, unknown>) => {
        this.#scheduler.trace.add(`${life.name} ${level}: ${text} ${String(fields?.error ?? '')}`);
      },
    };
    const done = isHandshakeMessage(message)
      ? handleHandshake(message, { ...ports, fetch: this.#receivers.options(life), hub: HUB })
      : deliverLease(message, ports);
    void done.then(() => this.#end(life));
  }

  /** Stops one for so long that its claim runs out; then it goes on as if nothing had been. */
  pauseOne(ms: number): void {
    const running = [...this.running];
    if (running.length > 0) {
      const life = this.#scheduler.random.pick(running);
      life.pausedUntil = this.#scheduler.elapsed + ms;
      this.#scheduler.trace.add(`${life.name} stops for ${ms} ms`);
    }
  }

  immortalise(): void {
    this.mortal = false;
    for (const life of this.running) {
      life.kill = null;
    }
  }

  #goingOn(subscription: Called, life: Life): Called {
    const { name } = life;
    let leases = 1;
    const settle: Called['settle'] = async (request) => {
      const result = await subscription.settle(request);
      if (result.outcome === 'settled' && result.next !== undefined) {
        leases += 1;
        life.name = `${name}/${leases}`;
      }
      return result;
    };
    return {
      settle,
      claim: (lease) => subscription.claim(lease),
      consentRequest: (hub) => subscription.consentRequest(hub),
      consentAnswer: (answer) => subscription.consentAnswer(answer),
    };
  }

  #kill(life: Life, message: QueueMessage): void {
    this.#end(life);
    if (this.#scheduler.random.chance(REDELIVERY_CHANCE)) {
      this.#scheduler.post(`the queue repeats ${nameOf(message)}`, null, () => this.invoke(message));
    }
  }

  #end(life: Life): void {
    life.alive = false;
    this.running.delete(life);
  }
}
