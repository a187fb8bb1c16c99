import { messageId } from '../../src/events/ids.ts';
import { unpacked } from '../../src/subscriptions/packed-deliveries.ts';
import type { AckResult, NackRequest, PulledDelivery } from '../../src/subscriptions/protocol-acks.ts';
import type { Delivery } from '../history/operations.ts';
import type { Party } from './object-host.ts';
import type { Plan } from './plan.ts';
import type { SeededRandom } from './random.ts';
import { seenEvent } from './receivers.ts';
import type { World } from './world.ts';

/** Workers of each subscription. */
export const PULLERS = 2;
const WORK_MAX_MS = 3_000;
/** Longer than any deadline that subscriptions are made with. */
const ZOMBIE_MAX_MS = 45_000;
const DELAY_MAX_MS = 20_000;
const REST_MAX_MS = 5_000;

/** What becomes of a delivery in a worker's hands. */
type Deed = 'ack' | 'ackTwice' | 'nack' | 'reject' | 'extend' | 'zombie' | 'die';

const HEALTHY: Record<Deed, number> = { ack: 1, ackTwice: 0, nack: 0, reject: 0, extend: 0, zombie: 0, die: 0 };
const FAULTY: Record<Deed, number> = { ack: 8, ackTwice: 2, nack: 2, reject: 0.3, extend: 2, zombie: 1, die: 1 };

/** Those who pull, all subscriptions that can be pulled, until the world ends: some of them badly, until they are healed. */
export class Pullers {
  readonly #world: World;
  readonly #random: SeededRandom;
  /** Every ack id that was ever seen, by subscription: for those who try another's. */
  readonly #seen = new Map<string, string[]>();
  isHealthy = false;

  constructor(world: World) {
    this.#world = world;
    this.#random = world.scheduler.random.fork();
  }

  /** Never ends. */
  async run(plan: Plan): Promise<void> {
    if (!plan.kinds.includes('pull')) return;
    const workers = plan.subscriptions.flatMap((name) => Array.from({ length: PULLERS }, () => this.#work(name)));
    await Promise.all(workers);
  }

  async #work(name: string): Promise<void> {
    const party = this.#world.outsider('puller');
    const { scheduler } = this.#world;
    for (;;) {
      const waitMs = this.#random.pick([0, 1_000, 20_000, 60_000]);
      const max = this.#random.pick([1, 3, 100]);
      const deliveries = await this.#pull(party, name, max, waitMs);
      if (deliveries === null || (deliveries.length === 0 && waitMs === 0)) {
        await scheduler.sleep('worker rests', party.life, this.#random.between(1, REST_MAX_MS));
        continue;
      }
      // Each by itself, as a pool does; the next pull comes while some are still being worked on.
      const work = Promise.all(deliveries.map((delivery) => this.#handle(party, name, delivery)));
      if (this.#random.chance(0.5)) await work;
    }
  }

  /** Null: nothing can be pulled, or the answer was lost. */
  async #pull(party: Party, name: string, max: number, waitMs: number): Promise<PulledDelivery[] | null> {
    try {
      const puller = `${party.life.name} ${this.#world.scheduler.steps}`;
      if (waitMs > 0 && !this.isHealthy && this.#random.chance(0.1)) void this.#hangUp(party, name, puller);
      const result = await this.#world.subscription(party, name).pull({ v: 1, puller, max, waitMs, mayRead: null });
      if (result.outcome !== 'pulled') return null;
      const deliveries = unpacked(result.deliveries);
      if (deliveries.length > max) throw new TypeError(`${deliveries.length} were pulled instead of ${max}.`);
      return deliveries;
    } catch (error) {
      if (error instanceof TypeError) throw error;
      return null;
    }
  }

  /** It asks no more for what it was waiting for; what has come meanwhile it works on. */
  async #hangUp(party: Party, name: string, puller: string): Promise<void> {
    await this.#world.scheduler.sleep('hangs up', party.life, this.#random.between(0, ZOMBIE_MAX_MS));
    await this.#world
      .subscription(party, name)
      .hangUp(puller)
      .catch(() => undefined);
  }

  async #handle(party: Party, name: string, delivery: PulledDelivery): Promise<void> {
    const { scheduler, receivers } = this.#world;
    const { ackId, sequence, json, replay, redriven } = delivery;
    const { topic }: { topic: string } = JSON.parse(json);
    const seen = seenEvent(json);
    const entry: Delivery = {
      kind: 'delivery',
      outcome: 'unknown',
      start: scheduler.steps,
      end: Number.POSITIVE_INFINITY,
      subscription: name,
      topic,
      event: seen.event,
      webhookId: messageId(name, topic, sequence),
      replay,
      sender: { consumer: ackId, key: seen.key, redriven },
    };
    receivers.books.push(entry);
    this.#seen.set(name, [...(this.#seen.get(name) ?? []), ackId]);
    scheduler.trace.add(`a worker has ${name} ${topic} ${sequence} attempt ${delivery.attempt}`);
    const deed = this.#random.weighted(this.isHealthy ? HEALTHY : FAULTY);
    await scheduler.sleep('works', party.life, this.#random.between(0, WORK_MAX_MS));
    const end = (outcome: Delivery['outcome']) => {
      entry.outcome = outcome;
      entry.end = scheduler.steps;
    };
    switch (deed) {
      case 'extend':
        await this.#tell(party, name, (api) =>
          api.extend({ v: 1, ackIds: [ackId], byMs: this.#random.between(0, 60_000) }),
        );
        await scheduler.sleep('works on', party.life, this.#random.between(0, ZOMBIE_MAX_MS));
        break;
      case 'zombie':
        await scheduler.sleep('sleeps', party.life, this.#random.between(0, ZOMBIE_MAX_MS));
        break;
      case 'nack':
      case 'reject':
        end('failure');
        await this.#nack(party, name, ackId, deed === 'reject');
        return;
      case 'die':
        end('failure');
        return;
      case 'ack':
      case 'ackTwice':
        break;
    }
    end('success');
    await this.#tell(party, name, (api) => api.ack({ v: 1, ackIds: [ackId] }));
    if (deed !== 'ackTwice') return;
    await this.#tell(party, name, (api) => api.ack({ v: 1, ackIds: [ackId, ackId] }));
    await this.#tryAnothers(party, name);
  }

  async #nack(party: Party, name: string, ackId: string, isRejected: boolean): Promise<void> {
    const delayMs = isRejected ? null : this.#random.pick([null, 0, this.#random.between(1, DELAY_MAX_MS)]);
    const request: NackRequest = { v: 1, ackIds: [ackId], delayMs, reason: 'no', dead: isRejected ? 'rejected' : null };
    await this.#tell(party, name, (api) => api.nack(request));
  }

  /** Ids of another subscription settle nothing here. */
  async #tryAnothers(party: Party, name: string): Promise<void> {
    const others = [...this.#seen].filter(([other]) => other !== name).flatMap(([, ids]) => ids);
    if (others.length === 0) return;
    const result = await this.#tell(party, name, (api) => api.ack({ v: 1, ackIds: others.slice(-10) }));
    if (result?.outcome === 'settled' && result.answers.includes('ok'))
      throw new Error(`${name} took the ack id of another: ${JSON.stringify(result)}`);
  }

  /** Null: the call or its answer was lost. */
  async #tell(
    party: Party,
    name: string,
    call: (api: ReturnType<World['subscription']>) => Promise<AckResult>,
  ): Promise<AckResult | null> {
    try {
      return await call(this.#world.subscription(party, name));
    } catch {
      return null;
    }
  }
}
