import { counted, QUIET_MS } from '../counted.ts';
import { type Counts, dollarsPerMillion, inWords, rowsWritten } from '../counts.ts';
import { Hub, type SubscribeOptions } from '../hub.ts';
import { sleep } from '../measure.ts';
import { Receiver } from '../receiver.ts';
import type { Bench, Section } from './section.ts';

/** What the platform would bill: counted on a hub of its own, whose storage and bindings are wrapped in counters. */

const PUBLISH_GROUP = 'Billed for an event published';
const DELIVERY_GROUP = 'Billed for a delivery';
const COST_GROUP = 'A million events with one webhook each';
const CONNECTIONS = 32;
const BUSY: SubscribeOptions = { timeout: '5s', maxInFlight: 512 };

export const billing: Section = {
  name: 'billing',
  async run({ quick, row }) {
    const hub = await Hub.start('bench/worker-counted.ts');
    const receiver = await Receiver.open();
    const meter = new Meter(hub, receiver, row, quick ? 0.25 : 1);
    try {
      await meter.publishing();
      await meter.delivering();
      await meter.replaying();
      await meter.costing();
      await meter.failing();
    } finally {
      receiver.close();
      await hub.stop();
    }
  },
};

class Meter {
  readonly #hub: Hub;
  readonly #receiver: Receiver;
  readonly #row: Bench['row'];
  readonly #scale: number;
  #made = 0;

  constructor(hub: Hub, receiver: Receiver, row: Bench['row'], scale: number) {
    this.#hub = hub;
    this.#receiver = receiver;
    this.#row = row;
    this.#scale = scale;
  }

  async publishing(): Promise<void> {
    const lone = this.#some(200);
    const many = this.#some(4000);
    const alone = (keyed: boolean) => (topic: string) => this.#hub.publishSome(topic, 1, lone, keyed);
    const batches = (size: number, keyed: boolean) => (topic: string) => this.#hub.load(topic, many, size, keyed);
    await this.#published('alone, with a key', lone, alone(true), 3.2);
    await this.#published('alone, without a key', lone, alone(false));
    const busy = (topic: string) => this.#hub.publishSome(topic, CONNECTIONS, many);
    await this.#published('single, 32 connections, with keys', many, busy);
    await this.#published('in batches of 10, with keys', many, batches(10, true));
    await this.#published('in batches of 100, with keys', many, batches(100, true), 2.1);
    await this.#published('in batches of 100, without keys', many, batches(100, false), 1.1);
  }

  async delivering(): Promise<void> {
    const lone = this.#some(60);
    const many = this.#some(6000);
    const { topic, name } = await this.#subscribed(BUSY);
    const idle = await this.#measured(lone, () => this.#oneByOne(topic, lone));
    this.#delivered('one event at a time, with its publish', idle);

    await this.#hub.pause(name);
    await this.#hub.load(topic, many);
    const busy = await this.#measured(many, async () => {
      this.#receiver.reset();
      await this.#hub.resume(name);
      await this.#receiver.arrived(many);
    });
    this.#delivered('a backlog (timeout 5s)', busy, 0.3);

    const { topic: other, name: otherName } = await this.#subscribed({});
    await this.#hub.pause(otherName);
    await this.#hub.load(other, many);
    const defaults = await this.#measured(many, async () => {
      this.#receiver.reset();
      await this.#hub.resume(otherName);
      await this.#receiver.arrived(many);
    });
    this.#delivered('a backlog, with the defaults', defaults);
    await this.#hub.unsubscribe(name);
    await this.#hub.unsubscribe(otherName);
  }

  /** Each event's first attempt is refused, one event at a time; then one in ten of a backlog. */
  async failing(): Promise<void> {
    const lone = this.#some(24);
    const many = this.#some(2000);
    const { topic, name } = await this.#subscribed({ ...BUSY, schedule: ['100ms', '1s'] });
    const alone = await this.#measured(lone, async () => {
      for (let index = 0; index < lone; index += 1) {
        this.#receiver.reset();
        this.#receiver.refuses = ({ attempt }) => attempt === 1;
        await this.#hub.publishOne(topic);
        await this.#receiver.arrived(2);
        await sleep(60);
      }
    });
    this.#delivered('one event at a time that fails once, with its publish', alone);

    await this.#hub.pause(name);
    await this.#hub.load(topic, many);
    const backlog = await this.#measured(many, async () => {
      this.#receiver.reset();
      this.#receiver.refuses = ({ attempt, sequence }) => attempt === 1 && sequence % 10 === 0;
      await this.#hub.resume(name);
      await this.#receiver.arrived(many + Math.floor(many / 10));
    });
    this.#delivered('a backlog of which one in ten fails once', backlog);
    this.#receiver.reset();
    await this.#hub.unsubscribe(name);
  }

  async replaying(): Promise<void> {
    const many = this.#some(6000);
    const topic = this.#name();
    await this.#hub.makeTopic(topic);
    await this.#hub.load(topic, many);
    await this.#hub.subscribe(topic, topic, this.#receiver.url, BUSY);
    const counts = await this.#measured(many, async () => {
      this.#receiver.reset();
      await this.#hub.replay(topic, topic);
      await this.#receiver.arrived(many);
    });
    this.#delivered('a replay (timeout 5s)', counts);
    await this.#hub.unsubscribe(topic);
  }

  /** Published and delivered at the same time, everything counted. */
  async costing(): Promise<void> {
    const lone = this.#some(100);
    const many = this.#some(8000);
    const idle = async (topic: string) => this.#oneByOne(topic, lone);
    await this.#cost('one at a time, each delivered before the next', lone, idle);
    const oneConnection = async (topic: string) => this.#hub.publishSome(topic, 1, this.#some(1000));
    await this.#cost('one a request, with keys, 1 connection', this.#some(1000), oneConnection);
    const busy = async (topic: string) => this.#hub.publishSome(topic, CONNECTIONS, many);
    await this.#cost('one a request, with keys, 32 connections', many, busy, 3.5);
    const batches = (size: number, keyed: boolean) => (topic: string) => this.#hub.load(topic, many, size, keyed);
    // With a key an event is two rows whatever is shared, so the goal can only mean events without.
    await this.#cost('in batches of 10, without keys', many, batches(10, false), 1.5);
    await this.#cost('in batches of 10, with keys', many, batches(10, true));
    await this.#cost('in batches of 100, with keys', many, batches(100, true));
  }

  async #published(what: string, count: number, work: (topic: string) => Promise<void>, goal?: number): Promise<void> {
    const topic = this.#name();
    await this.#hub.makeTopic(topic);
    const counts = await this.#measured(count, () => work(topic));
    this.#row({
      group: PUBLISH_GROUP,
      what,
      value: `${counts.topicLog.rowsWritten.toFixed(2)} rows written`,
      floor: inWords(counts),
      ...(goal === undefined ? {} : { goal: `≤ ${goal} rows`, met: rowsWritten(counts) <= goal }),
    });
  }

  #delivered(what: string, counts: Counts, goal?: number): void {
    this.#row({
      group: DELIVERY_GROUP,
      what,
      value: `${rowsWritten(counts).toFixed(2)} rows written`,
      floor: inWords(counts),
      ...(goal === undefined ? {} : { goal: `≤ ${goal} rows`, met: rowsWritten(counts) <= goal }),
    });
  }

  async #cost(what: string, count: number, work: (topic: string) => Promise<void>, goal?: number): Promise<void> {
    const { topic, name } = await this.#subscribed(BUSY);
    this.#receiver.reset();
    const counts = await this.#measured(count, async () => {
      await work(topic);
      await this.#hub.drained(name);
    });
    await this.#hub.unsubscribe(name);
    const dollars = dollarsPerMillion(counts);
    this.#row({
      group: COST_GROUP,
      what,
      value: `$${dollars.toFixed(2)}`,
      floor: inWords(counts),
      ...(goal === undefined ? {} : { goal: `≤ $${goal.toFixed(2)}`, met: dollars <= goal }),
    });
  }

  async #oneByOne(topic: string, count: number): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      this.#receiver.reset();
      await this.#hub.publishOne(topic);
      await this.#receiver.arrived(1);
      await sleep(40);
    }
  }

  async #subscribed(options: SubscribeOptions): Promise<{ topic: string; name: string }> {
    const topic = this.#name();
    await this.#hub.makeTopic(topic);
    await this.#hub.subscribe(topic, topic, this.#receiver.url, options);
    await sleep(QUIET_MS);
    return { topic, name: topic };
  }

  #measured(count: number, work: () => Promise<void>): Promise<Counts> {
    return counted(this.#hub, count, work);
  }

  #some(count: number): number {
    return Math.max(10, Math.round(count * this.#scale));
  }

  #name(): string {
    this.#made += 1;
    return `bench.billed-${this.#made}`;
  }
}
