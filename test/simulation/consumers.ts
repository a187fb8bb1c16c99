import { deliverLease, type LeaseHolder } from '../../src/deliveries/consumer.ts';
import type { LeaseMessage } from '../../src/subscriptions/protocol.ts';
import type { Party } from './object-host.ts';
import type { Receivers } from './receivers.ts';
import type { Life, Scheduler } from './scheduler.ts';

/** How often the queue sends a message again whose invocation died. */
const REDELIVERY_CHANCE = 0.5;

/** The queue's consumer: one invocation a message, each of which may be killed or paused at any await. */
export class Consumers {
  readonly running = new Set<Life>();
  readonly #scheduler: Scheduler;
  readonly #receivers: Receivers;
  readonly #subscription: (name: string, from: Party) => LeaseHolder;
  #invocations = 0;
  mortal = false;

  constructor(scheduler: Scheduler, receivers: Receivers, subscription: (name: string, from: Party) => LeaseHolder) {
    this.#scheduler = scheduler;
    this.#receivers = receivers;
    this.#subscription = subscription;
  }

  invoke(message: LeaseMessage): void {
    this.#invocations += 1;
    const life: Life = { name: `consumer${this.#invocations}`, alive: true, pausedUntil: 0, kill: null };
    if (this.mortal) {
      life.kill = () => this.#kill(life, message);
    }
    this.running.add(life);
    const party: Party = { life, ready: () => Promise.resolve() };
    const done = deliverLease(message, {
      subscription: (name) => this.#subscription(name, party),
      clock: this.#scheduler.clock(life),
      fetch: this.#receivers.fetch(life),
      guard: this.#receivers.guard(life),
      version: 'simulated',
      log: (level, text, fields) => {
        this.#scheduler.trace.add(`${life.name} ${level}: ${text} ${String(fields?.error ?? '')}`);
      },
    });
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

  #kill(life: Life, message: LeaseMessage): void {
    this.#end(life);
    if (this.#scheduler.random.chance(REDELIVERY_CHANCE)) {
      this.#scheduler.post(`the queue repeats lease ${message.lease}`, null, () => this.invoke(message));
    }
  }

  #end(life: Life): void {
    life.alive = false;
    this.running.delete(life);
  }
}
