import type { Background, Log } from '../../src/platform.ts';
import type { CatalogPort } from '../../src/topics/ports.ts';
import type {
  AppendRequest,
  AppendResult,
  EventMatch,
  FeedSocket,
  OvertakeRequest,
  ReadOrParkRequest,
  ReadRequest,
  WakeAnswer,
  WakeRequest,
} from '../../src/topics/protocol.ts';
import { receiptsOf } from '../../src/topics/receipts.ts';
import { TopicLog } from '../../src/topics/topic-log.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { packed, type TestEvent } from '../support/new-events.ts';
import { NodeStorage } from '../support/node-storage.ts';

/** A wake that a log has sent and a test answers. */
export interface SentWake {
  name: string;
  request: WakeRequest;
  answer(answer: WakeAnswer): Promise<void>;
  fail(): Promise<void>;
}

/** A catalogue in memory that can be made to fail. */
export class FakeCatalog implements CatalogPort {
  topics = new Map<string, number>();
  readonly #incarnations = new Map<string, number>();
  patterns: { subscription: string; pattern: string }[] = [];
  failing = false;
  calls: string[] = [];

  async announceTopic(name: string, createdAt: number, incarnation: number): Promise<void> {
    this.#called(`announce ${name}`);
    if (incarnation < (this.#incarnations.get(name) ?? 0)) return;
    this.topics.set(name, createdAt);
    this.#incarnations.set(name, incarnation);
  }

  async removeTopic(name: string, incarnation: number): Promise<void> {
    this.#called(`remove ${name}`);
    if (incarnation > (this.#incarnations.get(name) ?? 0)) this.topics.delete(name);
  }

  async patternsAfter(subscription: string, pattern: string): Promise<{ subscription: string; pattern: string }[]> {
    this.#called('patterns');
    return this.patterns
      .filter((row) => row.subscription > subscription || (row.subscription === subscription && row.pattern > pattern))
      .slice(0, 2);
  }

  #called(what: string): void {
    this.calls.push(what);
    if (this.failing) {
      throw new Error('D1_ERROR: Network connection lost.');
    }
  }
}

/** A system event, as far as tests look at it. */
interface SystemEvent {
  type: string;
  source: string;
  subject: string;
  data: Record<string, unknown>;
}

/** A log with everything around it in the test's hands. */
export class Harness {
  readonly storage: NodeStorage;
  readonly clock = new FakeClock();
  readonly catalog = new FakeCatalog();
  readonly wakes: SentWake[] = [];
  readonly overtaken: { name: string; request: OvertakeRequest }[] = [];
  readonly appeared: string[] = [];
  readonly logged: string[] = [];
  /** The open sockets of feeds: they outlive a restart, as those of an object that hibernates do. */
  readonly sockets = new Set<FeedSocket>();
  /** Called instead of keeping the wake for the test to answer. */
  onWake: ((name: string, request: WakeRequest) => Promise<WakeAnswer>) | null = null;
  onOvertake: (name: string) => Promise<void> = async () => {};
  onAppeared: (name: string) => Promise<void> = async () => {};
  /** What the topic has told the hub's own. */
  readonly told: SystemEvent[] = [];
  onTell: () => Promise<void> = async () => {};
  fillingBytes: number | null = null;
  fullBytes: number | null = null;
  youngEventsMax: number | null = null;
  keysWaitingMax: number | null = null;
  #alarming = false;
  log: TopicLog;

  constructor(storage = new NodeStorage()) {
    this.storage = storage;
    this.log = this.#make();
  }

  /** The object dies and starts again: memory is gone, what was committed stays. */
  restart(): TopicLog {
    this.#alarming = false;
    this.log = this.#make();
    return this.log;
  }

  #make(): TopicLog {
    const background: Background = (task) => {
      task.catch((error: unknown) => this.logged.push(`unhandled: ${String(error)}`));
    };
    const log: Log = (level, message) => {
      this.logged.push(`${level}: ${message}`);
    };
    return new TopicLog({
      topic: 'orders',
      storage: this.storage,
      clock: this.clock,
      random: { fraction: () => 0.5, bytes: (length) => new Uint8Array(length) },
      background,
      log,
      catalog: this.catalog,
      subscriptions: (name) => ({
        wake: (request) => this.#wake(name, request),
        topicAppeared: async () => {
          this.appeared.push(name);
          await this.onAppeared(name);
        },
        overtake: async (request) => {
          await this.onOvertake(name);
          this.overtaken.push({ name, request });
        },
      }),
      systemLog: () => ({ append: (request) => this.#tell(request) }),
      feedSockets: () => [...this.sockets].filter((socket) => socket.deserializeAttachment() !== null),
      ...(this.fillingBytes === null ? {} : { fillingBytes: this.fillingBytes }),
      ...(this.fullBytes === null ? {} : { fullBytes: this.fullBytes }),
      ...(this.youngEventsMax === null ? {} : { youngEventsMax: this.youngEventsMax }),
      ...(this.keysWaitingMax === null ? {} : { keysWaitingMax: this.keysWaitingMax }),
    });
  }

  async #tell({ events }: AppendRequest): Promise<AppendResult> {
    await this.onTell();
    for (const line of events.lines.split('\n')) this.told.push(JSON.parse(line));
    return { outcome: 'appended', first: 1, duplicates: [] };
  }

  #wake(name: string, request: WakeRequest): Promise<WakeAnswer> {
    if (this.onWake !== null) {
      return this.onWake(name, request);
    }
    return new Promise((resolve, reject) => {
      this.wakes.push({
        name,
        request,
        answer: async (answer) => {
          resolve(answer);
          await settled();
        },
        fail: async () => {
          reject(new Error('Network connection lost.'));
          await settled();
        },
      });
    });
  }

  /** Takes the wakes sent since the last time. */
  async sent(): Promise<SentWake[]> {
    await settled();
    return this.wakes.splice(0);
  }

  /** Runs the alarm if it is due and none runs yet; false if not. */
  async fireAlarm(): Promise<boolean> {
    const due = this.storage.alarm;
    if (this.#alarming || due === null || due > this.clock.now()) {
      return false;
    }
    this.#alarming = true;
    await this.storage.deleteAlarm();
    void this.log.alarm().finally(() => {
      this.#alarming = false;
    });
    await settled();
    return true;
  }

  /** Lets time pass, second by second, firing the alarm whenever it is due. */
  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      await this.clock.advance(1000);
      for (let times = 0; times < 20 && (await this.fireAlarm()); times += 1);
    }
  }

  /** Publishes events of these types, made up otherwise; answers their sequences. */
  async publish(...types: string[]): Promise<number[]> {
    const result = await this.log.append(append(types.map((type) => event({ type }))));
    if (result.outcome !== 'appended') {
      throw new Error(result.outcome);
    }
    return receiptsOf(result, types.length).map(({ sequence }) => sequence);
  }

  async attach(subscription: string, attachment = 'a1', exact = true): Promise<number> {
    const result = await this.log.attach({ v: 1, subscription, attachment, exact, from: { kind: 'latest' } });
    if (result.outcome !== 'attached') {
      throw new Error(result.outcome);
    }
    return result.next;
  }

  /** Attaches and parks a subscription; answers its `next`. */
  async park(subscription: string, ticket: number, types: string[] = [], attachment = 'a1'): Promise<number> {
    const next = await this.attach(subscription, attachment);
    const { lastSequence } = await this.log.standing(subscription);
    const result = await this.log.readOrPark(
      readOrPark({ subscription, attachment, ticket, types, next: Math.max(next, lastSequence + 1) }),
    );
    if (result.outcome !== 'parked') {
      throw new Error(result.outcome);
    }
    return result.next;
  }
}

let made = 0;

export function event(
  fields: Partial<{ id: string; source: string; type: string; key: string | null; data: unknown }> = {},
): TestEvent {
  made += 1;
  const { id = `id-${made}`, source = '/tests', type = 'order.created', key = null, data = null } = fields;
  return {
    type,
    source,
    id,
    key,
    json: JSON.stringify({
      specversion: '1.0',
      id,
      source,
      type,
      ...(key === null ? {} : { subject: key }),
      time: '2026-01-01T00:00:00Z',
      data,
    }),
  };
}

export function append(events: TestEvent[], fields: Partial<AppendRequest> = {}): AppendRequest {
  return { v: 1, events: packed(events), expectedLastSequence: null, create: true, ...fields };
}

export const EVERY: EventMatch = { types: [], exactTypes: [], sources: [], subjects: [] };

export function read(fields: Partial<ReadRequest> = {}): ReadRequest {
  return {
    v: 1,
    from: { kind: 'earliest' },
    until: null,
    order: 'asc',
    limit: 50,
    match: EVERY,
    waitMs: 0,
    ...fields,
  };
}

export function readOrPark(
  fields: Partial<ReadOrParkRequest> & { subscription: string; next: number },
): ReadOrParkRequest {
  return { v: 1, attachment: 'a1', ticket: 1, types: [], low: fields.next, limit: 50, ...fields };
}

/** The keys that are in the postings of a log, in the order of their events. */
export function postedIn({ sql }: NodeStorage): { key: string; sequence: number }[] {
  return sql
    .exec<{ key: string; sequence: number }>(
      'SELECT postings.key AS key, value AS sequence FROM postings, json_each(sequences) ORDER BY sequence',
    )
    .toArray();
}
