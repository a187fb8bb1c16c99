import { Catalog } from '../../src/catalog/catalog.ts';
import { type SweepPorts, sweep } from '../../src/catalog/sweep.ts';
import { DeadLetters } from '../../src/dead-letters/letters.ts';
import { askForConsent } from '../../src/deliveries/handshake.ts';
import { type Migration, migrate } from '../../src/storage/migrate.ts';
import type { SubscriptionPorts } from '../../src/subscriptions/core.ts';
import { MIGRATIONS as SUBSCRIPTION_MIGRATIONS } from '../../src/subscriptions/migrations.ts';
import type { SubscriptionApi } from '../../src/subscriptions/protocol.ts';
import { Subscription } from '../../src/subscriptions/subscription.ts';
import { SYSTEM_TOPIC } from '../../src/system/shapes.ts';
import { MIGRATIONS as TOPIC_MIGRATIONS } from '../../src/topics/migrations.ts';
import type { TopicLogApi } from '../../src/topics/protocol.ts';
import { TopicLog } from '../../src/topics/topic-log.ts';
import { NodeDatabases } from '../support/node-database.ts';
import { NodeStorage } from '../support/node-storage.ts';
import { ConsumerWorkers } from './consumer-workers.ts';
import { Consumers, HUB } from './consumers.ts';
import { Network } from './network.ts';
import { type Hosted, ObjectHost, type Party } from './object-host.ts';
import type { SeededRandom } from './random.ts';
import { Receivers } from './receivers.ts';
import type { Scheduler } from './scheduler.ts';

export type HostedLog = TopicLogApi & Hosted;
export type HostedSubscription = SubscriptionApi & Hosted;

/** A vault that hides nothing: what it is worth is tested elsewhere, and here its time would be wasted. */
const GLASS_VAULT: SubscriptionPorts['vault'] = {
  keyId: 'glass',
  seal: (plaintext) => ({ keyId: 'glass', box: plaintext }),
  open: (sealed) => sealed.box,
};

/** Of the objects of a kind, one after the other: seeds spend a quarter of their time on migrations otherwise. */
const databasesOf = (migrations: readonly Migration[]) =>
  new NodeDatabases((path) => migrate(new NodeStorage({ path }), migrations));
const LOGS = databasesOf(TOPIC_MIGRATIONS);
const SUBSCRIPTIONS = databasesOf(SUBSCRIPTION_MIGRATIONS);

/** The hub as deployed, without its HTTP: the logs, the subscriptions, the queue consumer, the cron sweep. */
export class World {
  readonly scheduler: Scheduler;
  readonly network: Network;
  readonly receivers: Receivers;
  readonly consumers: Consumers;
  readonly consumerWorkers: ConsumerWorkers;
  readonly topics = new Map<string, ObjectHost<HostedLog>>();
  readonly subscriptions = new Map<string, ObjectHost<HostedSubscription>>();
  readonly #random: SeededRandom;
  #parties = 0;

  readonly #youngEventsMax: number;

  /** @param youngEventsMax how many of a log's events wait until their identities and keys are put in order */
  constructor(scheduler: Scheduler, youngEventsMax: number) {
    this.scheduler = scheduler;
    this.#youngEventsMax = youngEventsMax;
    this.#random = scheduler.random.fork();
    this.network = new Network(scheduler);
    this.receivers = new Receivers(scheduler);
    const subscription = (name: string, from: Party) => this.subscription(from, name);
    this.consumerWorkers = new ConsumerWorkers(scheduler, this.receivers, subscription);
    this.consumers = new Consumers(scheduler, this.receivers, this.consumerWorkers, subscription);
    this.receivers.callBack = (name, token) => {
      const answer = { token, consent: { given: true as const, perMinute: null } };
      // Who can't reach the hub is asked again.
      this.subscription(this.outsider('receiver'), name)
        .consentAnswer(answer)
        .catch(() => undefined);
    };
    this.network.deliver = (message) => this.consumers.invoke(message);
    scheduler.alarms = { next: () => this.#nextAlarm(), due: (now) => this.#dueAlarms(now) };
  }

  /** Somebody outside who never dies: a client, the cron. */
  outsider(name: string): Party {
    this.#parties += 1;
    const life = { name: `${name}${this.#parties}`, alive: true, pausedUntil: 0, kill: null };
    return { life, ready: () => Promise.resolve() };
  }

  topicLog(from: Party, topic: string): HostedLog {
    return this.network.stub(from, this.topicHost(topic));
  }

  subscription(from: Party, name: string): HostedSubscription {
    return this.network.stub(from, this.subscriptionHost(name));
  }

  /** What the HTTP interface does once a subscription has changed: it asks the receiver without waiting for the queue. */
  askForConsent(from: Party, name: string): Promise<void> {
    return askForConsent(name, this.subscription(from, name), HUB, {
      fetch: this.receivers.options(from.life),
      clock: this.scheduler.clock(from.life),
      guard: this.receivers.guard(from.life),
      version: 'simulated',
    });
  }

  hosts(): ObjectHost<Hosted>[] {
    return [...this.topics.values(), ...this.subscriptions.values()];
  }

  /** Nothing happens any more: what it was kept in is for the next. */
  end(): void {
    for (const host of this.hosts()) host.end();
    this.network.end();
  }

  /** One run of the cron. */
  async sweep(): Promise<void> {
    const cron = this.outsider('cron');
    const ports: SweepPorts = {
      catalog: new Catalog(this.network.database(cron)),
      subscription: (name) => this.subscription(cron, name),
      topic: (name) => this.topicLog(cron, name),
      now: () => this.scheduler.now(),
      log: (_level, message, fields) => this.scheduler.trace.add(`cron: ${message} ${String(fields?.error ?? '')}`),
    };
    await sweep(ports);
    cron.life.alive = false;
  }

  topicHost(topic: string): ObjectHost<HostedLog> {
    const known = this.topics.get(topic);
    if (known !== undefined) {
      return known;
    }
    const host: ObjectHost<HostedLog> = new ObjectHost<HostedLog>(`topic ${topic}`, LOGS, this.scheduler, (ports) => {
      const party = host.party(ports.life);
      return new TopicLog({
        topic,
        storage: ports.storage,
        clock: ports.clock,
        random: this.#random,
        background: ports.background,
        log: this.#log(ports.life.name),
        catalog: new Catalog(this.network.database(party)),
        subscriptions: (name) => this.subscription(party, name),
        systemLog: () => this.topicLog(party, SYSTEM_TOPIC),
        youngEventsMax: this.#youngEventsMax,
        keysWaitingMax: this.#youngEventsMax,
      });
    });
    this.topics.set(topic, host);
    return host;
  }

  subscriptionHost(name: string): ObjectHost<HostedSubscription> {
    const known = this.subscriptions.get(name);
    if (known !== undefined) {
      return known;
    }
    const host: ObjectHost<HostedSubscription> = new ObjectHost<HostedSubscription>(
      name,
      SUBSCRIPTIONS,
      this.scheduler,
      (ports) => {
        const party = host.party(ports.life);
        const database = this.network.database(party);
        const queue = { send: (message: Parameters<Network['send']>[1]) => this.network.send(party, message) };
        return new Subscription({
          name,
          storage: ports.storage,
          clock: ports.clock,
          random: this.#random,
          background: ports.background,
          log: this.#log(ports.life.name),
          catalog: new Catalog(database),
          letters: new DeadLetters(database),
          vault: GLASS_VAULT,
          topicLog: (topic) => this.topicLog(party, topic),
          deliveries: queue,
          retries: queue,
          handshakes: queue,
        });
      },
    );
    this.subscriptions.set(name, host);
    return host;
  }

  #log(name: string) {
    return (level: string, message: string, fields?: Record<string, unknown>) =>
      this.scheduler.trace.add(`${name} ${level}: ${message} ${fields === undefined ? '' : JSON.stringify(fields)}`);
  }

  #nextAlarm(): number | null {
    let next: number | null = null;
    for (const host of this.hosts()) {
      const at = host.alarmAt;
      if (at !== null && (next === null || at < next)) {
        next = at;
      }
    }
    return next;
  }

  #dueAlarms(now: number): { label: string; run: () => void }[] {
    const due: { label: string; run: () => void }[] = [];
    for (const host of this.hosts()) {
      const at = host.alarmAt;
      if (at !== null && at <= now) {
        due.push({ label: `alarm of ${host.name}`, run: () => host.fire() });
      }
    }
    return due;
  }
}
